"""Receipts that wait for their turn, as many as there is room for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from worker.evidence.heading import MOST_WRITTEN_BYTES
from worker.fast_tuples import new_tuple

MOST_UNSENT: Final = 20_000
"""Half a minute of a fleet's worker at full load."""
MOST_UNSENT_BYTES: Final = 32 * 1024 * 1024
"""Of their rows: 20,000 usual ones of 500 bytes are a third of it, and one may have 16 KiB."""
_MOST_RECEIPTS: Final = 1000

Done = Callable[[], None]


class Unsent(NamedTuple):
    """An unsent receipt's row, whose integration's it is, and what is to be called when it is on
    record: None where nothing waits for that any more.
    """

    row: bytes
    integration_id: str
    then: Done | None

    def awaited_no_more(self) -> Unsent:
        """The same receipt, for which nothing waits."""
        return self._replace(then=None)


class UnsentReceipts:
    """Receipts that are not sent yet: the first that came are the first to go."""

    def __init__(self) -> None:
        self._kept: deque[Unsent] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Unsent]:
        return iter(self._kept)

    @property
    def has_room(self) -> bool:
        """Whether one more receipt may be kept."""
        return len(self._kept) < MOST_UNSENT and self._bytes < MOST_UNSENT_BYTES

    def add(self, row: bytes, integration_id: str, then: Done | None) -> None:
        """Keep one receipt."""
        self._kept.append(new_tuple(Unsent, (row, integration_id, then)))
        self._bytes += len(row)

    def take(self) -> list[Unsent]:
        """The receipts that go in the next message; they are kept no longer."""
        if len(self._kept) <= _MOST_RECEIPTS and self._bytes <= MOST_WRITTEN_BYTES:  # as mostly
            everything = list(self._kept)
            self._kept.clear()
            self._bytes = 0
            return everything
        taken: list[Unsent] = []
        size = 0
        while self._kept and len(taken) < _MOST_RECEIPTS and size < MOST_WRITTEN_BYTES:
            one = self._kept.popleft()
            taken.append(one)
            size += len(one.row)
        self._bytes -= size
        return taken

    def await_no_more(self) -> None:
        """Nothing waits for these receipts from now on."""
        self._kept = deque(one.awaited_no_more() for one in self._kept)
