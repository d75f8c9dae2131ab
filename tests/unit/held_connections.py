"""Connections that are kept from others, by somebody who says little or nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held(port: int, number: int, source: str, says: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections from the address `source` that say that, and nothing more."""
    lines: list[socket.socket] = []
    try:
        for _ in range(number):
            line = socket.socket()
            line.bind((source, 0))
            line.connect(("127.0.0.1", port))
            line.setblocking(False)
            line.sendall(says)
            lines.append(line)
        yield lines
    finally:
        for line in lines:
            line.close()
