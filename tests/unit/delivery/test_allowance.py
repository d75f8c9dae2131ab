"""How much a lane may have: one rule for what it takes in and for what it gives up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.delivery.parts import Hand
from tests.unit.examples import integration
from worker.delivery.lanes.allowance import HeldLimits, allowance, held_limits_of
from worker.integrations.model import Integration

ROOM = 640
QUARTER_OF_FREE = 160
STANDING = 10
"""One part in 64 of the room."""
EVENTS_HELD = 500


@dataclass
class Lane:
    """A lane with so many events; `held` of them came by the hand that is asked about."""

    occupied: int = 0
    waiting: int = 0
    held: int = 0
    is_quick: bool = True
    is_still: bool = False
    integration: Integration = field(
        default_factory=lambda: integration(limits={"events_held": EVENTS_HELD})
    )

    @property
    def held_limits(self) -> HeldLimits:
        return held_limits_of(self.integration)

    def held_of(self, _: object) -> int:
        return self.held

    def keeps_up(self) -> bool:
        return self.is_quick

    def stands_still(self) -> bool:
        return self.is_still


def _hand(in_hand: int = 0, prefetch: int = ROOM) -> Any:
    hand = Hand(prefetch=prefetch)
    hand.room = ROOM
    hand.in_hand = in_hand
    return hand


def _paced(per_second: float) -> Integration:
    return integration(limits={"requests_per_second": per_second, "messages_per_request": 1})


@pytest.mark.parametrize(
    ("lane", "more"),
    [
        pytest.param(Lane(), QUARTER_OF_FREE, id="an idle one, a quarter of what is free"),
        pytest.param(Lane(QUARTER_OF_FREE), EVENTS_HELD - 160, id="quick, up to its own limit"),
        pytest.param(Lane(EVENTS_HELD), 0, id="quick, at its own limit"),
        pytest.param(Lane(EVENTS_HELD + 9), 0, id="above its own limit it keeps what it has"),
        pytest.param(Lane(159, is_quick=False), 1, id="slow, below a quarter"),
        pytest.param(Lane(160, is_quick=False), 0, id="slow, at a quarter"),
        pytest.param(Lane(300, is_quick=False), 0, id="slow, above it keeps what it has"),
        pytest.param(Lane(0, 0, is_still=True), 0, id="still, none"),
        pytest.param(Lane(15, 5, is_still=True), -5, id="still, gives up what waits"),
        pytest.param(Lane(40, 15), QUARTER_OF_FREE - 40, id="waiting, and not still"),
    ],
)
def test_a_lane_may_have(lane: Lane, more: int) -> None:
    assert allowance(lane, _hand()) == more


@pytest.mark.parametrize(
    ("lane", "more"),
    [
        pytest.param(Lane(9, STANDING - 1, is_still=True), 151, id="below a few"),
        pytest.param(Lane(10, STANDING, is_still=True), 0, id="at a few"),
        pytest.param(Lane(15, STANDING + 5, is_still=True), -5, id="gives up the rest"),
    ],
)
def test_a_lane_that_stands_still_may_have_a_few_of_bundles(lane: Lane, more: int) -> None:
    """A bundle is acknowledged as a whole; a single message would keep ranges from others."""
    assert allowance(lane, _hand(prefetch=16)) == more


def test_little_room_is_shared_by_those_that_do_not_keep_up() -> None:
    lane = Lane(occupied=200, held=200, is_quick=False)
    assert allowance(lane, _hand(ROOM - 10), slow_lanes=1) == 0
    assert allowance(lane, _hand(ROOM - 10), slow_lanes=3) == ROOM // 4 - 200
    assert allowance(lane, _hand(ROOM - 10), slow_lanes=9) == ROOM // 10 - 200


def test_a_lane_with_a_limit_of_requests_has_what_these_let_go_in_a_minute() -> None:
    limited = _paced(1)
    assert allowance(Lane(59, integration=limited), _hand()) == 1
    assert allowance(Lane(60, integration=limited), _hand()) == 0
    assert allowance(Lane(75, integration=limited), _hand()) == -15
    assert allowance(Lane(75, integration=limited), _hand(), slow_lanes=1) == -15


def test_of_the_last_few_places_for_bundles_a_slow_lane_gets_none() -> None:
    nearly_full = _hand(in_hand=14, prefetch=16)
    assert allowance(Lane(is_quick=True), nearly_full) == EVENTS_HELD
    assert allowance(Lane(is_quick=False), nearly_full) == 0


def test_the_last_room_of_all_is_one_event() -> None:
    assert allowance(Lane(is_quick=False), _hand(ROOM)) == 1
    assert allowance(Lane(occupied=1, is_quick=False), _hand(ROOM)) == 0
