"""The first question of which kind an inlet is. Events wait for it, so it ends.

After five minutes without any answer Adobe's answers to messages have to tell. The five minutes are
those of the fleet: the store keeps when they began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from worker.adobe.check.customer_setup import InletKind
from worker.adobe.check.inlet_kind import Untold
from worker.adobe.check.read_answers import Unanswered
from worker.delivery.inlets.fleet_answers import Answers, KeptAnswers, inlet_of
from worker.delivery.inlets.known_inlets import Case
from worker.delivery.inlets.stored_answer import Answer
from worker.integrations.model import Integration

log = structlog.get_logger(__name__)

FIRST_SECONDS: Final = 300.0
"""How long events wait for the first question at most."""
LONGEST_PAUSE_SECONDS: Final = 30.0
"""Between two tries of it: 1, 2, 4, 8, 16, 30 s."""
_FIRST_AT_ONCE: Final = 16

Ask = Callable[[Integration], Awaitable[InletKind | Untold | Unanswered]]


class FirstQuestions:
    """`ask` asks Adobe; answers are put into force by `answers`, and looked for in `kept` before.
    `now_ms` gives ms since 1970. `ask_again` begins a question that nobody waits for.
    """

    def __init__(
        self,
        ask: Ask,
        kept: KeptAnswers,
        answers: Answers,
        now_ms: Callable[[], int],
        ask_again: Callable[[Case], None],
    ) -> None:
        self._ask = ask
        self._kept = kept
        self._answers = answers
        self._now_ms = now_ms
        self._ask_again = ask_again
        self._slots = asyncio.Semaphore(_FIRST_AT_ONCE)

    async def ask(self, case: Case) -> None:
        """Return when something is in force, for which events wait."""
        try:
            await self._find_out(case)
        except Exception:  # a fault of ours
            log.exception("inlet.unexpected_error", integration=case.configured.id)
            self._answers.put_into_force(
                case, Answer("untold", self._now_ms(), inlet_of(case)), "flow"
            )

    async def _find_out(self, case: Case) -> None:
        kept = await self._kept.of(case)
        if kept is not None and kept.told != "asked":
            self._answers.put_into_force(case, kept, "state")
            return
        since_ms = min(kept.at_ms, self._now_ms()) if kept is not None else self._now_ms()
        if kept is None:
            asked = Answer("asked", since_ms, inlet_of(case))
            await self._kept.keep(case.configured.state_id, asked)
        left = FIRST_SECONDS - (self._now_ms() - since_ms) / 1000
        await self._answers.adopt_answer(case, await self._answer_within(left, case))
        if left <= 0:  # it was asked by a worker that did not see the end of it
            self._ask_again(case)

    async def _answer_within(self, seconds: float, case: Case) -> InletKind | Untold:
        try:
            async with asyncio.timeout(max(seconds, 0.0)), self._slots:
                return await self._until_answered(case)
        except TimeoutError:
            return Untold(f"no answer within {FIRST_SECONDS:.0f} s")

    async def _until_answered(self, case: Case) -> InletKind | Untold:
        pause = 1.0
        while isinstance(answer := await self._ask(case.configured), Unanswered):
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return answer
