"""Finds out of which kind inlets are: asked of Adobe beside delivery, and kept for the fleet.

The first question is one that events wait for, so it ends: after five minutes without any answer
Adobe's answers to messages have to tell. Every other one is in nobody's way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import structlog

from worker.adobe.check.answers import Unanswered
from worker.adobe.check.kind import Untold
from worker.adobe.check.setup import InletKind
from worker.delivery.inlets.answer import Answer, Told
from worker.delivery.inlets.known import Case, KnownInlets
from worker.delivery.rounds.epoch_watch import shown_time
from worker.integrations.model import Integration, WrittenMode
from worker.ordering.inlets import InletKeeper
from worker.ordering.store import StoreUnavailable

log = structlog.get_logger(__name__)

FIRST_SECONDS: Final = 300.0
"""How long events wait for the first question at most."""
LONGEST_PAUSE_SECONDS: Final = 30.0
"""Between two tries of it: 1, 2, 4, 8, 16, 30 s."""
AGAIN_SECONDS: Final = 3600.0
"""How long an answer is not doubted. A raw inlet takes an envelope with 200 and drops it, so for as
long nobody notices that a customer has turned an XDM-compatible one into a raw one."""
_NOTED_MS: Final = 86_400_000
REFUSED_SECONDS: Final = 60.0
OLD_SECONDS: Final = 3600.0
"""At least so long lies between two questions for a refusal, and between two for an old answer."""
_LOOK_SECONDS: Final = 30.0
_FIRST_AT_ONCE: Final = 16
_AGAIN_AT_ONCE: Final = 2

Ask = Callable[[Integration], Awaitable[InletKind | Untold | Unanswered]]


class InletQuestions:
    """`ask` asks Adobe, and `keeper` is that of the store; `clock` gives seconds since 1970.

    `known` has what is in force.
    """

    def __init__(
        self, ask: Ask, keeper: InletKeeper, clock: Callable[[], float] = time.time
    ) -> None:
        self._ask = ask
        self._keeper = keeper
        self._clock = clock
        self.known = KnownInlets(self._begin_first, self._note_refusal, self._learned)
        self._first_slots = asyncio.Semaphore(_FIRST_AT_ONCE)
        self._again_slots = asyncio.Semaphore(_AGAIN_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[str] = set()
        self._asked_at: dict[str, float] = {}
        self._unkept: dict[str, Answer] = {}
        self._turned: dict[str, tuple[int, str]] = {}

    async def recall(self, integration_ids: Collection[str]) -> None:
        """Learn what the fleet knows of these. Raises `StoreUnavailable`."""
        kept = await self._keeper.kept(integration_ids)
        answers = {one: Answer.decode(text) for one, text in kept.items()}
        self.known.recalled |= {one: known for one, known in answers.items() if known is not None}

    async def run(self) -> None:
        """Ask again what is old, and keep what the store did not take, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for case in self.known.cases:
                answer = case.answer
                if answer is not None and self._now_ms() - answer.at_ms >= AGAIN_SECONDS * 1000:
                    self._ask_again(case, OLD_SECONDS)
            for integration_id, answer in list(self._unkept.items()):
                await self._keep(integration_id, answer)

    @property
    def notes(self) -> list[str]:
        """Of each inlet that has become raw within a day: what was sent before is lost."""
        since = self._now_ms() - _NOTED_MS
        return [sentence for at_ms, sentence in self._turned.values() if at_ms >= since]

    def keep_again(self) -> None:
        """The store has lost what it kept: it gets what this worker knows, where nobody else was
        faster.
        """
        known = dict(self.known.recalled)
        known |= {one.configured.id: one.answer for one in self.known.cases if one.answer}
        self._begin(self._keep_anew(known))

    async def stop(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What the known inlets call

    def _begin_first(self, case: Case) -> None:
        self._begin(self._first(case))

    def _note_refusal(self, case: Case) -> None:
        self._ask_again(case)

    def _learned(self, case: Case, mode: WrittenMode) -> None:
        self._begin(self._adopt(case, mode, "answers"))

    # Questions

    async def _first(self, case: Case) -> None:
        """Returns when something is in force, for which events wait."""
        try:
            await self._find_out(case)
        except Exception:  # a fault of ours
            log.exception("inlet.unexpected_error", integration=case.configured.id)
            self._put_into_force(case, Answer("untold", self._now_ms(), _inlet(case)), "flow")

    async def _find_out(self, case: Case) -> None:
        kept = await self._kept(case)
        if kept is not None and kept.told != "asked":
            self._put_into_force(case, kept, "state")
            return
        since_ms = min(kept.at_ms, self._now_ms()) if kept is not None else self._now_ms()
        if kept is None:
            await self._keep(case.configured.id, Answer("asked", since_ms, _inlet(case)))
        left = FIRST_SECONDS - (self._now_ms() - since_ms) / 1000
        await self._adopt_answer(case, await self._answer_within(left, case))
        if left <= 0:  # it was asked by a worker that did not see the end of it
            self._ask_again(case)

    async def _answer_within(self, seconds: float, case: Case) -> InletKind | Untold:
        try:
            async with asyncio.timeout(max(seconds, 0.0)), self._first_slots:
                return await self._until_answered(case)
        except TimeoutError:
            return Untold(f"no answer within {FIRST_SECONDS:.0f} s")

    async def _until_answered(self, case: Case) -> InletKind | Untold:
        pause = 1.0
        while isinstance(answer := await self._ask(case.configured), Unanswered):
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return answer

    def _ask_again(self, case: Case, at_least_seconds: float = REFUSED_SECONDS) -> None:
        """Beside delivery, and not too often; what is in force stays so without an answer."""
        one, now = case.configured.id, asyncio.get_running_loop().time()
        asked_at = self._asked_at.get(one)
        if one in self._asking or (asked_at is not None and now < asked_at + at_least_seconds):
            return
        self._asking.add(one)
        self._asked_at[one] = now
        self._begin(self._again(case))

    async def _again(self, case: Case) -> None:
        try:
            async with self._again_slots:
                kept = await self._kept(case)
                if kept is not None and self._is_news(kept, case):
                    self._put_into_force(case, kept, "state")
                    return
                answer = await self._ask(case.configured)
            if not isinstance(answer, (Untold, Unanswered)):
                await self._adopt_answer(case, answer)
        finally:
            self._asking.discard(case.configured.id)

    def _is_news(self, kept: Answer, case: Case) -> bool:
        """Whether another worker has asked a moment ago."""
        age_ms = self._now_ms() - kept.at_ms
        is_later = case.answer is None or kept.at_ms > case.answer.at_ms
        return kept.told in ("upsert", "xdm") and is_later and age_ms < 30_000

    # Answers

    async def _adopt_answer(self, case: Case, answer: InletKind | Untold) -> None:
        if isinstance(answer, Untold):
            log.warning(
                "inlet.untold", integration=case.configured.id, detail=answer.detail or _SILENT
            )
            await self._adopt(case, "untold", "flow")
        else:
            await self._adopt(case, "xdm" if answer == "xdm" else "upsert", "flow")

    async def _adopt(self, case: Case, told: Told, by: str) -> None:
        answer = Answer(told, self._now_ms(), _inlet(case))
        self._put_into_force(case, answer, by)
        await self._keep(case.configured.id, answer)

    def _put_into_force(self, case: Case, answer: Answer, by: str) -> None:
        """Unless the file has changed since: the new one has a question of its own."""
        one, before = case.configured.id, case.answer
        if self.known.is_in_force(case) and case.adopt(answer) and answer.told != "untold":
            log.info("inlet.known", integration=one, mode=answer.told, by=by)
            if before is not None and (before.told, answer.told) == ("xdm", "upsert"):
                detail = _TURNED.format(since=shown_time(before.at_ms))
                self._turned[one] = self._now_ms(), f"integration {one}: {detail}"
                log.error("inlet.turned_raw", integration=one, detail=detail)

    async def _kept(self, case: Case) -> Answer | None:
        """What the store has of the same inlet."""
        try:
            found = (await self._keeper.kept([case.configured.id])).get(case.configured.id, "")
        except StoreUnavailable:
            return None  # the gate tells of it where it matters
        answer = Answer.decode(found)
        return answer if answer is not None and answer.inlet == _inlet(case) else None

    async def _keep(self, integration_id: str, answer: Answer) -> None:
        try:
            await self._keeper.keep(integration_id, answer.encode())
        except StoreUnavailable:
            self._unkept[integration_id] = answer
        else:
            self._unkept.pop(integration_id, None)

    async def _keep_anew(self, known: Mapping[str, Answer]) -> None:
        try:
            kept = await self._keeper.kept(known)
        except StoreUnavailable:
            kept = {}
        for integration_id, answer in known.items():
            if integration_id not in kept:
                await self._keep(integration_id, answer)

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


_TURNED: Final = (
    "its inlet was XDM-compatible at {since} and is raw now; what was sent since the change was "
    "taken with 200 and dropped: publish the newest choices of that time again"
)
_SILENT: Final = "the flow can't be read"


def _inlet(case: Case) -> str:
    return case.configured.inlet_digest
