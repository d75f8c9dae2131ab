"""Ports for servers that are stopped and started again."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from devtools import ports
from devtools.ports import lasting_port

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not _OUTGOING.exists(), reason="only Linux tells which ports it gives away")
def test_a_lasting_port_is_none_that_the_kernel_gives_away() -> None:
    first, last = map(int, _OUTGOING.read_text().split())
    assert all(not first <= lasting_port() <= last for _ in range(100))


def test_a_lasting_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_LASTING", range(number, number + 1))
        monkeypatch.setattr(ports, "_TRIES", 1)
        with pytest.raises(OSError, match="in use"):
            lasting_port()
    assert lasting_port() == number
