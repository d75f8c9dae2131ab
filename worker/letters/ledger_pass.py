"""The pass by which the ledger learns which dead letters lie in the queue.

RabbitMQ makes letters itself, of which no worker writes a receipt, and some are older than the
receipts. So the ledger reads the queue when it has caught up, and whenever somebody asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final

import structlog

from worker.broker.letter_filter import Filter
from worker.errors import EndsCommand
from worker.interrupt import Interrupted, Stop
from worker.ledger.known_letters import LetterPass
from worker.ledger.letter_pass_rows import MOST_LETTERS, SeenLetter
from worker.ledger.packing import pack_event, received_key
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.write_turns import WriteTurns
from worker.letters.letter_desk import LetterDesk, open_desk
from worker.letters.letter_events import LetterEvent, OpenedLetter
from worker.letters.letter_key import LetterKeys
from worker.letters.pass_request import PassRequest
from worker.moments import now_ms
from worker.settings import WorkerSettings
from worker.store_choice import user_keys

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 1_000
_PATIENCE_SECONDS: Final = 30.0
"""A ledger that can't catch up, or has no stream, makes its first pass after so long."""
_LOOK_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 5.0
"""After a fault of ours, or what can't be taken would be tried without a pause."""


class LedgerPass:
    """Makes passes over the dead letters for the process that writes to the ledger. `tell` is given
    a sentence where a pass has to wait.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        turns: WriteTurns,
        taking_in: TakingIn,
        stop: Stop,
        tell: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._turns = turns
        self._taking_in = taking_in
        self._stop = stop
        self._tell = tell
        self._keys = LetterKeys(user_keys(settings))

    async def run(self, caught_up: asyncio.Event, request: PassRequest) -> None:
        """Make a pass over the dead letters after `caught_up`, and one for each request, until it
        is to stop. What goes wrong is logged.
        """
        await self._either(caught_up, _PATIENCE_SECONDS)
        while not self._stop.is_asked:
            try:
                request.take()
                await self.attempt()
            except Interrupted:
                return
            except Exception as error:
                log.exception("ledger.unexpected_error", error=type(error).__name__)
                await self._either(self._stop.asked, _AGAIN_SECONDS)
                continue  # who has asked for the pass waits for it
            while not (request.is_there() or self._stop.is_asked):
                await self._either(self._stop.asked, _LOOK_SECONDS)

    async def attempt(self) -> None:
        """Make a pass over the dead letters; what goes wrong is logged. Raises `Interrupted` when
        it is to stop.
        """
        try:
            run = await self.one_pass()
        except Interrupted:
            raise
        except EndsCommand as trouble:
            log.warning("ledger.letters_unread", detail=str(trouble))
        else:
            log.info("ledger.letters", letters=run.letters, unknown=run.unknown)

    async def one_pass(self) -> LetterPass:
        """Read all dead letters of the queue. Raises `BrokerAway`, `LedgerTrouble`, and
        `Interrupted` when it is to stop.
        """
        began_at = now_ms()
        async with open_desk(self._settings, nullcontext(self._stop), self._tell) as desk:
            pass_id = await self._turns.take(self._taking_in.begin_letters)
            letters, unknown, left_out = await self._read(desk, pass_id)
        self._stop.check("the dead letters were not read to their end")
        run = LetterPass(began_at, now_ms(), letters, unknown, left_out)
        await self._turns.take(self._taking_in.end_letters, pass_id, run)
        return run

    async def _either(self, one: asyncio.Event, seconds: float) -> None:
        """Wait for it, or until it is to stop, but no longer than so."""
        waiting = {asyncio.create_task(event.wait()) for event in {one, self._stop.asked}}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def _read(self, desk: LetterDesk, pass_id: int) -> tuple[int, int, int]:
        letters = unknown = left_out = 0
        some: list[SeenLetter] = []

        async def put() -> int:
            put_there = await self._turns.take(
                self._taking_in.put_letters, pass_id, tuple(some), now_ms()
            )
            some.clear()
            return put_there

        def seen(opened: OpenedLetter) -> list[SeenLetter]:
            return [seen_letter(one, self._keys) for one in opened.chosen]

        async with desk.one_pass("read", bar=False) as run:
            async for theirs in run.matching(Filter(), seen):
                letters += len(theirs)
                room = max(0, MOST_LETTERS - (letters - len(theirs)))
                left_out += len(theirs[room:])
                some += theirs[:room]
                if len(some) >= _AT_ONCE:
                    unknown += await put()
            if some:
                unknown += await put()
        return letters, unknown, left_out


def seen_letter(event: LetterEvent, keys: LetterKeys) -> SeenLetter:
    """A letter with the lives that its event may have in the ledger."""
    names = keys.names_of(event.body)
    received = [received_key(pack_event(name), updated_at_ms) for name, updated_at_ms in names]
    return SeenLetter(event.letter, tuple(keys.lives_of(event)), tuple(received))
