"""The life of a choice as a page tells it: verdict, ruler, and steps of which the like are one.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from worker.console.formats import number, span
from worker.evidence.receipt import OutcomeName, Receipt
from worker.ledger.receipt_sentences import BLANKED, sentence, to_do
from worker.ledger.stored_receipts import StoredReceipt
from worker.ledger.stories import Story
from worker.reasons import ParkReason

Mark = Literal["try", "wait", "done"]
_HEADS: Final[Mapping[OutcomeName, str]] = {
    "received": "Received",
    "delivered": "Delivered",
    "skipped": "Skipped",
    "dead": "Given up: a dead letter",
    "erased": "Erased",
}
_HELD_UNTIL: Final[Mapping[str, str]] = {
    ParkReason.BLOCKED: "its integration is mended",
    ParkReason.PAUSED: "its integration is paused no longer",
    ParkReason.IN_DOUBT: "the file of its integration is there and valid, for a day at most",
}
_HELD_IN_DOUBT: Final = (
    "it is clear whose it is: files must be readable, for a day at most, or Redis be back, however "
    "long that takes"
)
"""Of an event of which not even the integration is known."""
_LEAST_SHARE: Final = 0.4
"""Percent of the ruler that a mark has at least, or nobody would see it."""


class Step(NamedTuple):
    """One or several receipts that say the same, one after the other. `after_ms` is how long after
    the last receipt of the step before, which `follows_several` says had more than one; `todo` is
    what a person should do, "" for nothing.
    """

    outcome: OutcomeName
    head: str
    sentence: str
    todo: str
    receipts: Sequence[Receipt]
    after_ms: int | None
    follows_several: bool
    is_blanked: bool

    @property
    def first(self) -> Receipt:
        """The first receipt of a life's step."""
        return self.receipts[0]

    @property
    def last(self) -> Receipt:
        """The last receipt of a life's step."""
        return self.receipts[-1]


class Span(NamedTuple):
    """A part of a life's ruler, in percent of its length."""

    kind: Mark
    start: float
    length: float


class ToldLife(NamedTuple):
    """The life of a choice: `took_ms` is from the choice to its end, or so far. `choice_at` is when
    it was made. `state` is "replayed" for a dead letter whose replay is on record.
    """

    state: str
    sentence: str
    because: str
    choice_at: int | None
    took_ms: int | None
    attributes: Mapping[str, bool | None]
    steps: Sequence[Step]
    ruler: Sequence[Span]


def tell_life(story: Story, now_ms: int, replays: Sequence[Story] = ()) -> ToldLife:
    """The life of a choice, as it stands at `now_ms` (ms since 1970); `replays` are the lives that
    came of its letter, the latest last.
    """
    is_replayed = story.outcome == "dead" and bool(replays)
    receipts = [one.receipt for one in story.steps]
    choice_at = next((one.event_at for one in receipts if one.event_at is not None), None)
    attributes = next((one.attributes for one in reversed(receipts) if one.attributes), {})
    end = now_ms if story.is_waiting else story.at
    took_ms = None if choice_at is None else max(0, end - choice_at)
    return ToldLife(
        state="replayed" if is_replayed else story.outcome,
        sentence=_replayed(replays[-1]) if is_replayed else _sentence(story, took_ms),
        because=_because(story),
        choice_at=choice_at,
        took_ms=took_ms,
        attributes=attributes,
        steps=[one._replace(todo="") if is_replayed else one for one in _steps(story)],
        ruler=_ruler(receipts, choice_at, end),
    )


def _replayed(latest: Story) -> str:
    match latest.outcome:
        case "delivered":
            return "Replayed: Adobe has accepted the replay."
        case "skipped":
            return "Replayed: the replay was skipped, as nothing was to be sent."
        case "dead":
            return "Replayed: the replay is a dead letter again."
        case "erased":
            return "Replayed; then the person was erased."
        case _:
            return "Replayed: the replay is on its way."


def _tries(story: Story) -> int:
    return max((one.receipt.attempt for one in story.steps), default=0)


def _sentence(story: Story, took_ms: int | None) -> str:
    tries = _tries(story)
    counted = f"{number(tries)} tries" if tries != 1 else "1 try"
    so_far = f"{counted} so far" if tries else "not tried yet"
    match story.outcome:
        case "delivered":
            late = "" if took_ms is None else f", {span(took_ms)} after it was made"
            return f"Adobe has accepted it{late}."
        case "dead":
            return (
                f"Not honoured: given up after {counted}." if tries else "Not honoured: given up."
            )
        case "skipped":
            return "Skipped: nothing was to be sent."
        case "erased":
            return "The person was erased."
        case "parked" if until := held_until(story):
            return f"Held until {until}; {so_far}."
        case _:
            return f"On its way: {so_far}, and it comes back by itself."


def held_until(story: Story) -> str:
    """Until when an event is parked each time that it comes back; "" where it may go then."""
    if story.outcome != "parked":
        return ""
    reason = _parked_for(story)
    if reason == ParkReason.IN_DOUBT and not story.integration:
        return _HELD_IN_DOUBT
    return _HELD_UNTIL.get(reason, "")


def _parked_for(story: Story) -> str:
    return story.steps[-1].receipt.reason if story.steps else ""


def _because(story: Story) -> str:
    if not story.steps:
        return ""
    deciding = [one for one in story.steps if one.receipt.outcome == story.outcome]
    last = (deciding or story.steps)[-1]
    return BLANKED if last.is_blanked else sentence(last.receipt)


def _steps(story: Story) -> Iterator[Step]:
    before: Sequence[Receipt] = ()
    for run in _runs(story.steps):
        receipts = [one.receipt for one in run]
        is_last = run[-1] is story.steps[-1]
        is_blanked = any(one.is_blanked for one in run)
        last = receipts[-1]
        yield Step(
            last.outcome,
            _head(receipts),
            BLANKED if is_blanked else sentence(last),
            "" if is_blanked else to_do(last, is_last=is_last),
            receipts,
            receipts[0].at - before[-1].at if before else None,
            len(before) > 1,
            is_blanked,
        )
        before = receipts


def _runs(steps: Sequence[StoredReceipt]) -> Iterator[list[StoredReceipt]]:
    run: list[StoredReceipt] = []
    for one in steps:
        if run and not _are_alike(run[-1].receipt, one.receipt):
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _are_alike(one: Receipt, other: Receipt) -> bool:
    return (one.outcome, one.reason, one.status, one.delivery) == (
        other.outcome,
        other.reason,
        other.status,
        other.delivery,
    ) and one.outcome in ("retried", "parked")


def _head(receipts: Sequence[Receipt]) -> str:
    first, last = receipts[0], receipts[-1]
    if first.outcome == "parked":
        return "Parked" if len(receipts) == 1 else f"Parked {number(len(receipts))} times"
    if first.outcome == "retried":
        if first.attempt == last.attempt:
            return f"Try {first.attempt} failed, to be retried"
        return f"Tries {first.attempt} to {last.attempt} failed"
    return _HEADS[first.outcome]


def _ruler(receipts: Sequence[Receipt], choice_at: int | None, end: int) -> list[Span]:
    """Where the time went, to scale; nothing where there is no time to divide."""
    if choice_at is None or end <= choice_at:
        return []
    whole = end - choice_at
    spans = []
    for one in receipts:
        start = (one.at - choice_at) * 100 / whole
        if not 0 <= start <= 100:
            continue
        if one.outcome in ("retried", "dead"):
            spans.append(Span("try", min(start, 100 - _LEAST_SHARE), _LEAST_SHARE))
        elif one.outcome == "delivered":
            spans.append(Span("done", min(start, 100 - _LEAST_SHARE), _LEAST_SHARE))
        if one.outcome in ("retried", "parked") and one.due_at is not None:
            until = min(end, one.due_at)
            length = max(0, until - one.at) * 100 / whole
            spans.append(Span("wait", start, min(length, 100 - start)))
    return sorted(spans, key=lambda one: one.kind != "wait")
