"""What is in the dead-letter queue, looked at by a pass over it and kept for a while.

A pass holds all letters until its end, so it is made by nobody while an act runs, and by one at a
time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from worker.broker.broker_access import BrokerAway
from worker.broker.letter_filter import Filter
from worker.console.context import ConsoleContext
from worker.console.dead_letters.listed_letter import (
    Inventory,
    ListedLetter,
    inventory_of,
    listed,
)
from worker.errors import EndsCommand
from worker.interrupt import Interrupted, Stop
from worker.ledger.replay_prospects import LetterLife, letter_lives
from worker.ledger.trouble import LedgerTrouble, UnusableLedger
from worker.letters.letter_desk import LetterDesk, open_desk
from worker.letters.letter_events import LetterEvent, OpenedLetter

Found = TypeVar("Found")

MOST_LETTERS: Final = 50_000
"""That are looked at in one pass, some 30 MB of memory."""
FRESH_SECONDS: Final = 15.0
_PATIENCE_SECONDS: Final = 20.0
"""For a command that works on the letters."""
_NO_SIGNAL: Final = 0


class DeskTaken(EndsCommand):
    """Somebody else works on the dead letters, and what one holds the other can't see."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The last inventory of the dead letters, None before the first one; `trouble` says why there
    is no newer one, and `is_looking` whether somebody is about to make one. `is_new`: it was made
    while this look waited for it.
    """

    inventory: Inventory | None
    trouble: str = ""
    is_looking: bool = False
    is_new: bool = False


class InventoryReader:
    """Reads what is in the dead-letter queue; `is_busy` says whether an act of this console holds
    the letters.
    """

    def __init__(self, context: ConsoleContext, is_busy: Callable[[], bool]) -> None:
        self._context = context
        self._is_busy = is_busy
        self._alone = asyncio.Lock()
        self._kept: Inventory | None = None
        self._is_stale = False
        self._trouble = ""
        self._looking: asyncio.Task[None] | None = None

    async def look(self, patience_seconds: float, *, anew: bool = False) -> Looked:
        """The inventory of the dead letters. One that is not fresh is made anew, which is waited
        for so long.
        """
        before = self._kept
        if not self._is_busy() and (anew or not self._is_fresh()):
            if self._looking is None:
                self._looking = asyncio.create_task(self._make())
                self._looking.add_done_callback(self._made)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._looking), patience_seconds)
        is_looking, is_new = self._looking is not None, self._kept is not before
        return Looked(self._kept, self._trouble, is_looking, is_new)

    @property
    def fresh(self) -> Inventory | None:
        """The last inventory of the dead letters, None where it is not fresh."""
        return self._kept if self._is_fresh() else None

    def forget(self) -> None:
        """The dead letters have changed: the next look makes the inventory anew."""
        self._is_stale = True

    async def find(self, letter_id: str) -> LetterEvent | None:
        """One dead letter with its body. Raises `BrokerAway` and `DeskTaken`."""
        return await self._at_desk(lambda desk: _find(desk, letter_id))

    async def close(self) -> None:
        """Make no inventory of the dead letters any more."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    def _is_fresh(self) -> bool:
        kept, now_ms = self._kept, self._context.now_ms()
        return kept is not None and not self._is_stale and now_ms - kept.at < FRESH_SECONDS * 1000

    async def _make(self) -> None:
        self._is_stale = False
        at = self._context.now_ms()
        try:
            total, letters = await self._at_desk(self._all_letters)
            self._trouble = ""
        except (BrokerAway, DeskTaken) as trouble:
            self._trouble = str(trouble)
            return
        says = ""
        lives: dict[bytes, LetterLife] = {}
        try:
            keys = {key for one in letters for key in one.keys}
            lives = await self._context.query(letter_lives, keys)
        except (LedgerTrouble, UnusableLedger) as trouble_of_ledger:
            says = str(trouble_of_ledger)
        unseen = max(0, total - MOST_LETTERS)
        made = asyncio.to_thread(inventory_of, at, total, letters, lives, says, unseen)
        self._kept = await made

    def _made(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble = f"the letters could not be looked at ({type(error).__name__})"

    async def _at_desk(self, work: Callable[[LetterDesk], Awaitable[Found]]) -> Found:
        if self._is_busy():
            raise DeskTaken("an act on the dead letters runs; look again when it has ended")
        stop = Stop()
        timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, stop.ask, _NO_SIGNAL)
        settings = self._context.settings
        try:
            async with self._alone, open_desk(settings, nullcontext(stop), _say_nothing) as desk:
                timer.cancel()
                return await work(desk)
        except Interrupted:
            raise DeskTaken("a command works on the dead letters; look again later") from None
        finally:
            timer.cancel()

    async def _all_letters(self, desk: LetterDesk) -> tuple[int, list[ListedLetter]]:
        """How many there are, and the first of them."""
        total = await desk.letters.count()
        letters: list[ListedLetter] = []
        keys = self._context.letter_keys

        def take(opened: OpenedLetter) -> list[ListedLetter]:
            return [listed(event, keys) for event in opened.chosen]

        async with desk.one_pass("looked at", most=MOST_LETTERS) as run:
            async for some in run.matching(Filter(), take):
                letters += some
        return total, letters


def _say_nothing(said: str) -> None:
    """That somebody else is at work is told where that takes too long."""


async def _find(desk: LetterDesk, letter_id: str) -> LetterEvent | None:
    async with desk.one_pass("searched") as run:
        async for event in run.matching(Filter(id=letter_id), lambda opened: opened.chosen[0]):
            return event
    return None
