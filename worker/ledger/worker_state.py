"""The state that a worker or a door writes of itself, and whether it adds up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from worker.evidence.bounded_json import (
    Unreadable,
    number_in,
    object_of,
    optional_number_in,
    optional_time_in,
    text_in,
)

_MOST_LANES: Final = 5_000
_MOST_WORDS: Final = 200


class LaneState(NamedTuple):
    """An integration as one worker sees it. `words` are Adobe's, as far as they may be shown;
    `since` is in ms since 1970. `allowed` requests may be in flight, and the token lives for
    `token_seconds`; None where a worker does not tell.
    """

    integration: str
    state: str
    held: int
    error: str
    words: str
    since: int | None
    allowed: int | None
    token_seconds: int | None


class WorkerState(NamedTuple):
    """The state of a worker or a door: events taken from the queues since it began, and where they
    are. `receipted` counts those whose receipts were all handed over, None where a worker does not
    tell. `unreceipted` are outcomes without a receipt, by integration. `received` are events that a
    door has put on the queue, None of a worker. `cpu_percent` is of one core, since the state
    before, None where a process does not tell. `parked_again` says when the latest bundle comes
    back that was parked again unopened since the state before, by integration. Times are in ms
    since 1970.
    """

    version: str
    started_at: int
    taken: int
    settled: int
    in_hand: int
    returned: int
    receipted: int | None
    unreceipted: Mapping[str, int]
    lanes: tuple[LaneState, ...]
    oldest_event_at: int | None
    oldest_withdrawal_at: int | None
    received: int | None
    cpu_percent: int | None
    parked_again: Mapping[str, int]

    @property
    def missing(self) -> int:
        """Events that were taken, and are neither settled nor in hand nor returned; or that were
        settled without a receipt that says what became of them.
        """
        return abs(self.taken - self.settled - self.in_hand - self.returned) + self.silent

    @property
    def unreceipted_events(self) -> int:
        """Outcomes without a receipt, at all integrations."""
        return sum(self.unreceipted.values())

    @property
    def silent(self) -> int:
        """Events that were settled without a receipt that says what became of them."""
        return 0 if self.receipted is None else max(0, self.settled - self.receipted)


def read_state(row: str | bytes) -> WorkerState:
    """The state of a worker or a door that a row is. Raises `Unreadable`."""
    said = object_of(row.encode() if isinstance(row, str) else row)
    lanes = said.get("lanes") or []
    unreceipted = said.get("unreceipted") or {}
    parked_again = said.get("parked_again") or {}
    if not isinstance(lanes, list) or len(lanes) > _MOST_LANES:
        raise Unreadable(f"lanes is not a list of at most {_MOST_LANES}")
    if not isinstance(unreceipted, dict):
        raise Unreadable("unreceipted is not an object")
    if not isinstance(parked_again, dict):
        raise Unreadable("parked_again is not an object")
    return WorkerState(
        version=text_in(said, "version"),
        started_at=number_in(said, "started_at"),
        taken=number_in(said, "taken"),
        settled=number_in(said, "settled"),
        in_hand=number_in(said, "in_hand"),
        returned=number_in(said, "returned"),
        receipted=optional_number_in(said, "receipted"),
        unreceipted={one: number_in(unreceipted, one) for one in unreceipted},
        lanes=tuple(_lane(one) for one in lanes),
        oldest_event_at=optional_time_in(said, "oldest_event_at"),
        oldest_withdrawal_at=optional_time_in(said, "oldest_withdrawal_at"),
        received=optional_number_in(said, "received"),
        cpu_percent=optional_number_in(said, "cpu_percent"),
        parked_again={one: number_in(parked_again, one) for one in parked_again},
    )


def _lane(said: Any) -> LaneState:
    if not isinstance(said, dict):
        raise Unreadable("a lane is not an object")
    return LaneState(
        integration=text_in(said, "integration"),
        state=text_in(said, "state"),
        held=number_in(said, "held"),
        error=text_in(said, "error") if said.get("error") else "",
        words=text_in(said, "words", _MOST_WORDS) if said.get("words") else "",
        since=optional_number_in(said, "since"),
        allowed=optional_number_in(said, "allowed"),
        token_seconds=optional_number_in(said, "token_seconds"),
    )
