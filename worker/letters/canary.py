"""Canaries: a few letters that are replayed before the others, to see whether they die again.

Nothing on the broker tells that a letter was delivered. Two things can be seen: that a worker has
taken the canaries, since their queue was empty once, and which letters have come to the dead-letter
queue since. So the verdict is "did not come back in so long", and the time must be longer than a
letter takes to fail.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from worker.broker.dead_letter import DeadLetter
from worker.broker.dead_letter_queue import DeadLetters
from worker.broker.held_letters import HeldLetter
from worker.interrupt import Stop
from worker.letters.letter_events import LetterEvent, OpenedLetter, open_letter
from worker.moments import told_span

_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """`came_back` are dead again, so many were `sent`; `trouble` says why the others must stay, ""
    when they may follow.
    """

    sent: int
    came_back: int
    trouble: str


class Canaries:
    """Watches what comes to the dead-letter queue for the events of `opened`, which are replayed
    from now on. `letters` holds all that was there before.
    """

    def __init__(self, letters: DeadLetters, opened: Sequence[OpenedLetter]) -> None:
        self._letters = letters
        self._opened = opened
        self._awaited = {_mark(event) for one in opened for event in one.chosen}
        self._back: list[DeadLetter] = []
        self._looked_at = asyncio.Event()
        letters.listen(self._look_at)

    async def judge(
        self,
        replay: Callable[[OpenedLetter], Awaitable[str]],
        wait_seconds: float,
        stop: Stop,
        is_clear: Callable[[], Awaitable[bool]],
    ) -> CanaryVerdict:
        """`replay` each, and wait, until somebody knows that it `is_clear` at most. `replay` says
        why a letter can't be replayed, "" when it was.
        """
        sent = 0
        for one in self._opened:
            if problem := await replay(one):
                return CanaryVerdict(sent, 0, f"a canary can't be replayed: {problem}")
            sent += len(one.chosen)
        trouble = await self._wait(wait_seconds, stop, is_clear) or self._returned()
        return CanaryVerdict(sent, len(self._back), trouble)

    async def _wait(
        self, wait_seconds: float, stop: Stop, is_clear: Callable[[], Awaitable[bool]]
    ) -> str:
        """Until the time is over since all were taken, or one is back; what went wrong, if so."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wait_seconds
        queues = {self._letters.replayed_to(one.message) for one in self._opened}
        while not self._back and not stop.is_asked and loop.time() < ends_at:
            await self._letters.keep_room()
            untaken = {one for one in queues if await self._letters.waiting_in(one)}
            if queues and not untaken:
                ends_at = loop.time() + wait_seconds
            queues = untaken
            if await is_clear():
                return ""
            self._looked_at.clear()
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._looked_at.wait()
            except TimeoutError:
                continue
        if stop.is_asked:
            return "the wait was interrupted"
        if queues and not self._back:
            return (
                f"the canaries may still wait in {', '.join(sorted(queues))} after "
                f"{told_span(wait_seconds)}; see whether a worker runs, and whether it keeps up"
            )
        return ""

    def _returned(self) -> str:
        if not self._back:
            return ""
        first = self._back[0]
        error = f", {first.error}" if first.error not in (None, first.reason) else ""
        return f"{len(self._back)} came back, the first as {first.id}: {first.reason}{error}"

    def _look_at(self, message: HeldLetter) -> None:
        opened = open_letter(message, lambda event: _mark(event) in self._awaited)
        self._back += [event.letter for event in opened.chosen]
        self._looked_at.set()


def _mark(event: LetterEvent) -> tuple[bytes, str | None]:
    """By what an event is known again: its body travels unchanged."""
    return hashlib.sha256(event.body).digest(), event.letter.integration
