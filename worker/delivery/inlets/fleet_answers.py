"""Answers about inlets: put into force, and kept in the store for the fleet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import structlog

from worker.adobe.check.customer_setup import InletKind
from worker.adobe.check.inlet_kind import Untold
from worker.delivery.inlets.inlet_answer import Answer, Told
from worker.delivery.inlets.known_inlets import Case, KnownInlets
from worker.delivery.rounds.epoch_watch import shown_time
from worker.ordering.inlet_notes import InletKeeper
from worker.ordering.store_protocol import StoreUnavailable

log = structlog.get_logger(__name__)

_NOTED_MS: Final = 86_400_000
_TURNED: Final = (
    "its inlet was XDM-compatible at {since} and is raw now; what was sent since the change was "
    "taken with 200 and dropped: publish the newest choices of that time again, each with a newer "
    "updated_at, since an exact copy is skipped as a duplicate"
)
_SILENT: Final = "the flow can't be read"


def inlet_of(case: Case) -> str:
    """The digest of the inlet that a case is about."""
    return case.configured.inlet_digest


class KeptAnswers:
    """Keeps answers about inlets by the store's `keeper`; what it does not take is tried again."""

    def __init__(self, keeper: InletKeeper) -> None:
        self._keeper = keeper
        self._unkept: dict[str, Answer] = {}

    async def all_of(self, state_ids: Collection[str]) -> dict[str, Answer]:
        """Answers about inlets that the store has, by state id. Raises `StoreUnavailable`."""
        kept = await self._keeper.kept(state_ids)
        answers = {one: Answer.decode(text) for one, text in kept.items()}
        return {one: known for one, known in answers.items() if known is not None}

    async def of(self, case: Case) -> Answer | None:
        """The answer that the store has about the inlet of a case, if any."""
        try:
            state_id = case.configured.state_id
            found = (await self._keeper.kept([state_id])).get(state_id, "")
        except StoreUnavailable:
            return None  # the gate tells of it where it matters
        answer = Answer.decode(found)
        return answer if answer is not None and answer.inlet == inlet_of(case) else None

    async def keep(self, state_id: str, answer: Answer) -> None:
        """Keep an answer about an inlet, now or by `keep_again`."""
        try:
            await self._keeper.keep(state_id, answer.encode())
        except StoreUnavailable:
            self._unkept[state_id] = answer
        else:
            self._unkept.pop(state_id, None)

    async def keep_lost(self, known: Mapping[str, Answer]) -> None:
        """Keep again inlet answers that the store has lost, by state id, if nobody was faster."""
        try:
            kept = await self._keeper.kept(known)
        except StoreUnavailable:
            kept = {}
        for state_id, answer in known.items():
            if state_id not in kept:
                await self.keep(state_id, answer)

    async def keep_again(self) -> None:
        """Try again to keep the answers about inlets that the store did not take."""
        for state_id, answer in list(self._unkept.items()):
            await self.keep(state_id, answer)


class Answers:
    """Puts inlet answers into force in `known`, and keeps them; `now_ms` gives ms since 1970."""

    def __init__(self, known: KnownInlets, kept: KeptAnswers, now_ms: Callable[[], int]) -> None:
        self._known = known
        self._kept = kept
        self._now_ms = now_ms
        self._turned: dict[str, tuple[int, str]] = {}

    async def adopt_answer(self, case: Case, answer: InletKind | Untold) -> None:
        """Put into force and keep what Adobe said of the flow of an inlet."""
        if isinstance(answer, Untold):
            log.warning(
                "inlet.untold", integration=case.configured.id, detail=answer.detail or _SILENT
            )
            await self.adopt(case, "untold", "flow")
        else:
            await self.adopt(case, "xdm" if answer == "xdm" else "upsert", "flow")

    async def adopt(self, case: Case, told: Told, by: str) -> None:
        """Put into force and keep what was told of an inlet `by` its flow, or by replies."""
        answer = Answer(told, self._now_ms(), inlet_of(case))
        self.put_into_force(case, answer, by)
        await self._kept.keep(case.configured.state_id, answer)

    def put_into_force(self, case: Case, answer: Answer, by: str) -> None:
        """Put an answer about an inlet into force, unless the integration's file has changed since:
        the new one has a question of its own.
        """
        one, before = case.configured.id, case.answer
        if self._known.is_in_force(case) and case.adopt(answer) and answer.told != "untold":
            log.info("inlet.known", integration=one, mode=answer.told, by=by)
            if before is not None and (before.told, answer.told) == ("xdm", "upsert"):
                detail = _TURNED.format(since=shown_time(before.at_ms))
                self._turned[one] = self._now_ms(), f"integration {one}: {detail}"
                log.error("inlet.turned_raw", integration=one, detail=detail)

    @property
    def notes(self) -> list[str]:
        """Of each inlet that has become raw within a day: what was sent before is lost."""
        since = self._now_ms() - _NOTED_MS
        return [sentence for at_ms, sentence in self._turned.values() if at_ms >= since]
