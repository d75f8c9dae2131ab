"""A record of the stream, and by what the stream is known again. Pure."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Record(NamedTuple):
    """What stands at an offset of the stream. A body that was too large to be read is empty."""

    offset: int
    body: bytes

    @property
    def digest(self) -> bytes:
        """Tells whether the same record still stands there; 32 bytes."""
        return hashlib.sha256(self.body).digest()


class Progress(NamedTuple):
    """How far the stream was read, as in the table `progress`: `next_offset` is the first record
    that was not read. Times are in ms since 1970.
    """

    generation: int
    first_offset: int
    first_digest: bytes
    next_offset: int
    last_digest: bytes
    read_at: int
    written_at: int
    alive_at: int

    @property
    def has_read(self) -> bool:
        """Whether any record of this stream was read."""
        return self.next_offset > self.first_offset


class Start(NamedTuple):
    """Where reading begins, whether the stream is another one than before, and how many offsets
    between were lost to its retention.
    """

    offset: int
    is_recreated: bool
    lost: int = 0


def start_of_reading(
    progress: Progress | None, first: Record | None, at_last: Record | None
) -> Start:
    """Where to go on, by the stream's `first` record now and by the one that stands where the last
    one was read (`at_last`), each None where there is none.

    A stream that was made anew has another first record, or another one at the old place, or does
    not reach so far. One that lost its end in a crash looks the same. Either is read from its
    beginning: what the ledger has already, it passes over.
    """
    begin = 0 if first is None else first.offset
    if progress is None or not progress.has_read:
        return Start(begin, is_recreated=False)
    if first is None:
        return Start(begin, is_recreated=True)
    if first.offset >= progress.next_offset:
        return Start(first.offset, is_recreated=False, lost=first.offset - progress.next_offset)
    if first.offset == progress.first_offset and first.digest != progress.first_digest:
        return Start(begin, is_recreated=True)
    is_same = (
        at_last is not None
        and at_last.offset == progress.next_offset - 1
        and at_last.digest == progress.last_digest
    )
    return Start(progress.next_offset, False) if is_same else Start(begin, True)
