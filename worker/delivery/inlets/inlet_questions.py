"""Finds out of which kind inlets are: asked of Adobe beside delivery, and kept for the fleet.
Events wait for the first question alone; every other one is in nobody's way.

After five minutes without any answer Adobe's answers to messages have to tell. The five minutes are
those of the fleet: the store keeps when they began.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import structlog

from worker.adobe.check.customer_setup import InletKind
from worker.adobe.check.inlet_kind import Untold
from worker.adobe.check.platform_reads import Unanswered
from worker.delivery.inlets.fleet_answers import Answers, KeptAnswers, inlet_of
from worker.delivery.inlets.inlet_answer import Answer
from worker.delivery.inlets.known_inlets import Case, KnownInlets
from worker.integrations.model import Integration, WrittenMode
from worker.ordering.inlet_notes import InletKeeper


class Tasks:
    """Tasks about inlets that are under way: the loop itself holds tasks weakly."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[None]] = set()

    def begin(self, work: Awaitable[None]) -> None:
        """Begin some work about inlets; nobody waits for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancel the work about inlets that is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


log = structlog.get_logger(__name__)

FIRST_SECONDS: Final = 300.0
"""How long events wait for the first question at most."""
LONGEST_PAUSE_SECONDS: Final = 30.0
"""Between two tries of it: 1, 2, 4, 8, 16, 30 s."""
_FIRST_AT_ONCE: Final = 16

Ask = Callable[[Integration], Awaitable[InletKind | Untold | Unanswered]]


class FirstQuestions:
    """Asks of which kind an inlet is that nothing is known of. `ask` asks Adobe; answers are put
    into force by `answers`, and looked for in `kept` before. `now_ms` gives ms since 1970.
    `ask_again` begins a question that nobody waits for.
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
        """Return when something is in force for an inlet, for which events wait."""
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


AGAIN_SECONDS: Final = 3600.0
"""How long an answer is not doubted. A raw inlet takes an envelope with 200 and drops it, so for as
long nobody notices that a customer has turned an XDM-compatible one into a raw one."""
REFUSED_SECONDS: Final = 60.0
OLD_SECONDS: Final = 3600.0
"""At least so long lies between two questions for a refusal, and between two for an old answer."""
_LOOK_SECONDS: Final = 30.0
_AGAIN_AT_ONCE: Final = 2


class InletQuestions:
    """Finds out the kinds of inlets, at first and again. `ask` asks Adobe, and `keeper` is that of
    the store; `clock` gives seconds since 1970.

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
        """Learn what the fleet knows of inlets, by these state ids. Raises `StoreUnavailable`."""
        self.known.recalled |= await self._kept.all_of(state_ids)

    async def run(self) -> None:
        """Ask again about inlets of old answers, and keep what the store did not take, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for case in self.known.cases:
                answer = case.answer
                if answer is not None and self._now_ms() - answer.at_ms >= AGAIN_SECONDS * 1000:
                    self._ask_again(case, OLD_SECONDS)
            await self._kept.keep_again()

    @property
    def notes(self) -> list[str]:
        """Notes on inlets that have become raw; see `Answers.notes`."""
        return self._answers.notes

    def keep_again(self) -> None:
        """The store has lost its answers about inlets: it gets what this worker knows."""
        known = dict(self.known.recalled)
        cases = self.known.cases
        known |= {one.configured.state_id: one.answer for one in cases if one.answer}
        self._tasks.begin(self._kept.keep_lost(known))

    async def stop(self) -> None:
        """Ask no more about inlets."""
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
