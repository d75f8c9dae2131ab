"""How far the stream was read, and by what it is known again. Pure."""

from __future__ import annotations

from typing import NamedTuple

from worker.broker.stream_consumer import Record


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
    """Where the reading of the stream begins, whether it is another stream than before, and how
    many offsets between were lost to its retention.
    """

    offset: int
    is_recreated: bool
    lost: int = 0


def start_of_reading(
    progress: Progress | None,
    first: Record | None,
    at_last: Record | None,
    *,
    ends_anew: bool = False,
) -> Start | None:
    """Where to go on, by the stream's `first` record now and by the one that stands where the last
    one was read (`at_last`), each None where none came; `ends_anew`: the stream ends before that,
    with a record that was never read. None where nobody can know yet: what did not come in time may
    be there.

    A stream that was made anew has another first record, or another one at the old place, or ends
    before it with another one. One that lost its end in a crash looks the same. Either is read from
    its beginning: what the ledger has already, it passes over.
    """
    begin = 0 if first is None else first.offset
    if progress is None or not progress.has_read:
        return Start(begin, is_recreated=False)
    if first is None:
        return None
    if first.offset >= progress.next_offset:
        return Start(first.offset, is_recreated=False, lost=first.offset - progress.next_offset)
    if first.offset == progress.first_offset and first.digest != progress.first_digest:
        return Start(begin, is_recreated=True)
    if at_last is None:
        # Retention takes the first records and gives none back.
        is_another = ends_anew or first.offset < progress.first_offset
        return Start(begin, is_recreated=True) if is_another else None
    is_same = at_last.offset == progress.next_offset - 1 and at_last.digest == progress.last_digest
    return Start(progress.next_offset, False) if is_same else Start(begin, True)
