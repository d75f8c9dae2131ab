"""Finds out of which kind inlets are: asked of Adobe beside delivery, and kept for the fleet.

Events wait for the first question alone, see `first_question`. Every other one is in nobody's way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

import structlog

from worker.adobe.check.inlet_kind import Untold
from worker.adobe.check.read_answers import Unanswered
from worker.delivery.inlets.background_tasks import Tasks
from worker.delivery.inlets.first_question import Ask, FirstQuestions
from worker.delivery.inlets.fleet_answers import Answers, KeptAnswers
from worker.delivery.inlets.known_inlets import Case, KnownInlets
from worker.delivery.inlets.stored_answer import Answer
from worker.integrations.model import WrittenMode
from worker.ordering.inlet_notes import InletKeeper

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 3600.0
"""How long an answer is not doubted. A raw inlet takes an envelope with 200 and drops it, so for as
long nobody notices that a customer has turned an XDM-compatible one into a raw one."""
REFUSED_SECONDS: Final = 60.0
OLD_SECONDS: Final = 3600.0
"""At least so long lies between two questions for a refusal, and between two for an old answer."""
_LOOK_SECONDS: Final = 30.0
_AGAIN_AT_ONCE: Final = 2


class InletQuestions:
    """`ask` asks Adobe, and `keeper` is that of the store; `clock` gives seconds since 1970.

    `known` has what is in force.
    """

    def __init__(
        self, ask: Ask, keeper: InletKeeper, clock: Callable[[], float] = time.time
    ) -> None:
        self._ask = ask
        self._clock = clock
        self.known = KnownInlets(self._begin_first, self._note_refusal, self._learned)
        self._kept = KeptAnswers(keeper)
        self._answers = Answers(self.known, self._kept, self._now_ms)
        self._tasks = Tasks()
        self._again_slots = asyncio.Semaphore(_AGAIN_AT_ONCE)
        self._asking: set[str] = set()
        self._asked_at: dict[str, float] = {}
        self._first = FirstQuestions(ask, self._kept, self._answers, self._now_ms, self._ask_again)

    async def recall(self, state_ids: Collection[str]) -> None:
        """Learn what the fleet knows of the integrations with these. Raises `StoreUnavailable`."""
        self.known.recalled |= await self._kept.all_of(state_ids)

    async def run(self) -> None:
        """Ask again what is old, and keep what the store did not take, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for case in self.known.cases:
                answer = case.answer
                if answer is not None and self._now_ms() - answer.at_ms >= AGAIN_SECONDS * 1000:
                    self._ask_again(case, OLD_SECONDS)
            await self._kept.keep_again()

    @property
    def notes(self) -> list[str]:
        """See `Answers.notes`."""
        return self._answers.notes

    def keep_again(self) -> None:
        """The store has lost what it kept: it gets what this worker knows."""
        known = dict(self.known.recalled)
        cases = self.known.cases
        known |= {one.configured.state_id: one.answer for one in cases if one.answer}
        self._tasks.begin(self._kept.keep_lost(known))

    async def stop(self) -> None:
        """Ask no more."""
        await self._tasks.stop()

    # What the known inlets call

    def _begin_first(self, case: Case) -> None:
        self._tasks.begin(self._first.ask(case))

    def _note_refusal(self, case: Case) -> None:
        self._ask_again(case)

    def _learned(self, case: Case, mode: WrittenMode) -> None:
        self._tasks.begin(self._answers.adopt(case, mode, "answers"))

    # Questions

    def _ask_again(self, case: Case, at_least_seconds: float = REFUSED_SECONDS) -> None:
        """Beside delivery, and not too often; what is in force stays so without an answer."""
        one, now = case.configured.id, asyncio.get_running_loop().time()
        asked_at = self._asked_at.get(one)
        if one in self._asking or (asked_at is not None and now < asked_at + at_least_seconds):
            return
        self._asking.add(one)
        self._asked_at[one] = now
        self._tasks.begin(self._again(case))

    async def _again(self, case: Case) -> None:
        try:
            async with self._again_slots:
                kept = await self._kept.of(case)
                if kept is not None and self._is_news(kept, case):
                    self._answers.put_into_force(case, kept, "state")
                    return
                answer = await self._ask(case.configured)
            if not isinstance(answer, (Untold, Unanswered)):
                await self._answers.adopt_answer(case, answer)
        finally:
            self._asking.discard(case.configured.id)

    def _is_news(self, kept: Answer, case: Case) -> bool:
        """Whether another worker has asked a moment ago."""
        age_ms = self._now_ms() - kept.at_ms
        is_later = case.answer is None or kept.at_ms > case.answer.at_ms
        return kept.told in ("upsert", "xdm") and is_later and age_ms < 30_000

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
