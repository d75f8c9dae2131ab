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
    """What became of canaries: `came_back` of those that were `sent` are dead again; `trouble` says
    why the other letters must stay, "" when they may follow.
    """

    sent: int
    came_back: int
    trouble: str


@dataclass(slots=True)
class _Canary:
    """`letter` is as it was before."""

    letter: DeadLetter
    is_back: bool = False

    def may_be(self, letter: DeadLetter) -> bool:
        """Whether `letter`, which has its body, is this one dead again. The same event may die
        elsewhere meanwhile, but it does so at another integration, and for the first time. A canary
        without an integration dies at any, and one whose integration has another id by now at that.
        """
        was = self.letter
        is_of_the_same = was.integration in (None, letter.integration)
        return is_of_the_same or letter.integration is None or letter.replays == was.replays + 1


class Canaries:
    """Watches what comes to the dead-letter queue for the events of `opened`, which are replayed
    from now on. `letters` holds all that was there before.
    """

    def __init__(self, letters: DeadLetters, opened: Sequence[OpenedLetter]) -> None:
        self._letters = letters
        self._opened = opened
        self._awaited: dict[bytes, list[_Canary]] = {}
        for event in (event for one in opened for event in one.chosen):
            self._awaited.setdefault(_digest(event), []).append(_Canary(event.letter))
        self._first_back: DeadLetter | None = None
        self._looked_at = asyncio.Event()
        letters.listen(self._look_at)

    async def judge(
        self,
        replay: Callable[[OpenedLetter], Awaitable[str]],
        wait_seconds: float,
        stop: Stop,
        is_clear: Callable[[], Awaitable[bool]],
    ) -> CanaryVerdict:
        """`replay` each canary, and wait, until somebody knows that it `is_clear` at most. `replay`
        says why a letter can't be replayed, "" when it was.
        """
        sent = 0
        for one in self._opened:
            if problem := await replay(one):
                letter_id = one.chosen[0].letter.id
                return CanaryVerdict(sent, 0, f"{letter_id} can't be replayed: {problem}")
            sent += len(one.chosen)
        trouble = await self._wait(wait_seconds, stop, is_clear)
        came_back = sum(one.is_back for some in self._awaited.values() for one in some)
        return CanaryVerdict(sent, came_back, trouble or self._told(came_back))

    async def _wait(
        self, wait_seconds: float, stop: Stop, is_clear: Callable[[], Awaitable[bool]]
    ) -> str:
        """Until the time is over since all were taken, or one is back; what went wrong, if so."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wait_seconds
        queues = {self._letters.replayed_to(one.message) for one in self._opened}
        while self._first_back is None and not stop.is_asked and loop.time() < ends_at:
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
        if queues and self._first_back is None:
            return (
                f"the canaries may still wait in {', '.join(sorted(queues))} after "
                f"{told_span(wait_seconds)}; see whether a worker runs, and whether it keeps up"
            )
        if self._first_back is None:  # or it is known what became of them, whatever the line does
            await self._letters.must_have_seen_all()
        return ""

    def _told(self, came_back: int) -> str:
        first = self._first_back
        if first is None:
            return ""
        error = f", {first.error}" if first.error not in (None, first.reason) else ""
        return f"{came_back} came back, the first as {first.id}: {first.reason}{error}"

    def _look_at(self, message: HeldLetter) -> None:
        for event in open_letter(message, lambda _: True).chosen:
            canary = self._canary_of(event)
            if canary is not None:
                canary.is_back = True
                self._first_back = self._first_back or event.letter
        self._looked_at.set()

    def _canary_of(self, event: LetterEvent) -> _Canary | None:
        """The one that is dead again as this, if any is; of several one that is not back yet."""
        same_body = self._awaited.get(_digest(event), ())
        those = sorted(same_body, key=lambda one: one.is_back)
        return next((one for one in those if one.may_be(event.letter)), None)


def _digest(event: LetterEvent) -> bytes:
    """Of the body, which travels unchanged."""
    return hashlib.sha256(event.body).digest()
