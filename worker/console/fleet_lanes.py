"""The integrations as all live workers see them together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from worker.ledger.overview import Overview
from worker.ledger.worker_state import LaneState

LANE_STATES: Final = ("failing", "blocked", "slowed", "paused", "well")
"""The worst first."""
HOLDING: Final = ("blocked", "paused")
"""States in which an integration's events are parked again and again, until somebody acts."""


class LaneAtAll(NamedTuple):
    """An integration as all live workers see it together: the worst state, what they hold, how many
    requests may be in flight, and how long the first of their tokens lives.
    """

    integration: str
    state: str
    error: str
    words: str
    since: int | None
    held: int
    workers: int
    allowed: int | None
    token_seconds: int | None


def lanes_of(told: Overview) -> dict[str, LaneAtAll]:
    """The integrations that live workers tell of."""
    by_integration: dict[str, list[LaneState]] = {}
    for worker in told.live:
        for lane in worker.state.lanes if worker.state is not None else ():
            by_integration.setdefault(lane.integration, []).append(lane)
    return {one: _together(one, lanes) for one, lanes in by_integration.items()}


def _together(integration: str, lanes: Sequence[LaneState]) -> LaneAtAll:
    worst = min(lanes, key=lambda one: (_rank_of_lane(one.state), one.since or 0))
    same = [one for one in lanes if one.state == worst.state]
    return LaneAtAll(
        integration,
        worst.state if worst.state in LANE_STATES else "well",
        next((one.error for one in same if one.error), ""),
        next((one.words for one in same if one.words), ""),
        min((one.since for one in same if one.since is not None), default=None),
        sum(one.held for one in lanes),
        len(lanes),
        None if None in (allowed := [one.allowed for one in lanes]) else sum(filter(None, allowed)),
        min((one.token_seconds for one in lanes if one.token_seconds is not None), default=None),
    )


def _rank_of_lane(state: str) -> int:
    return LANE_STATES.index(state) if state in LANE_STATES else len(LANE_STATES)
