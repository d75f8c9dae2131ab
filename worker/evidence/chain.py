"""The chain of one process: each of its messages points to the one before. Pure but for its id."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence

from worker.evidence.heading import (
    MOST_WORKER_CHARACTERS,
    NO_DIGEST,
    Heading,
    MessageKind,
    line_digest,
    row_digest,
    rows_digest,
    write_heading,
)


class Chain:
    """Makes the messages of a chain, signed with `secret`, or unsigned where that is empty.

    What it made counts as written: a message that nobody can publish is kept and published later,
    with the same bytes, or the chain has a hole.
    """

    def __init__(self, worker: str, secret: bytes = b"") -> None:
        self.id = secrets.token_hex(16)
        self.worker = worker[:MOST_WORKER_CHARACTERS]
        self._secret = secret
        self._sequence = 0
        self._previous = NO_DIGEST
        self.is_open = True
        """Whether its end was not made yet."""

    def message(self, kind: MessageKind, rows: Sequence[bytes], at_ms: int) -> bytes:
        """The body of the chain's next message, of `at_ms` (ms since 1970)."""
        line = write_heading(
            Heading(
                kind=kind,
                chain=self.id,
                sequence=self._sequence,
                previous=self._previous,
                worker=self.worker,
                at=at_ms,
                rows=len(rows),
                digest=rows_digest(map(row_digest, rows)),
                key="",
                mac="",
            ),
            self._secret,
        )
        self._sequence += 1
        self._previous = line_digest(line)
        self.is_open = kind != "end"
        return b"\n".join((line, *rows))


def process_name() -> str:
    """How this process is called in the messages of its chain: host and process id."""
    pid = f":{os.getpid()}"
    return socket.gethostname()[: MOST_WORKER_CHARACTERS - len(pid)] + pid
