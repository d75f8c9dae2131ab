"""What came by several queues of events: each has acknowledgements of its own, so what holds up one
of them is told by what has come by that.
"""

from __future__ import annotations

import pytest

from tests.unit.delivery.lane_parts import Bench
from tests.unit.delivery.parts import Hand, event
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.broker.delay import NativeDelay
from worker.broker.message import Incoming
from worker.broker.retry_state import FRESH
from worker.delivery.bundles.gathering import BundleGathering
from worker.delivery.outcome import Parked
from worker.reasons import ParkReason


class Gathered:
    """Events by two intakes of one session, parked for one reason."""

    def __init__(self) -> None:
        self.hand, self.other = Hand(prefetch=8), Hand("consent.events.2", prefetch=8)
        self.other.host = self.hand.host
        self._gathering = BundleGathering(NativeDelay("consent"), lambda: 0)

    def park(self, hand: Hand) -> None:
        message: Incoming = hand.message(b"{}")
        parked = Parked(4.0, ParkReason.LANE_FULL)
        self._gathering.park(message, FRESH, {}, parked, message.done)

    @property
    def sizes(self) -> list[int]:
        """How many events are in what was published."""
        return [one.headers.get("consent-bundle", 1) for one in self.hand.host.published]


@in_virtual_time
async def test_a_bundle_waits_for_company_though_much_comes_by_another_queue() -> None:
    gathered = Gathered()
    gathered.park(gathered.hand)
    for _ in range(20):
        gathered.other.message()  # delivered, say
    gathered.park(gathered.other)
    gathered.park(gathered.other)
    await after(0.15)
    assert gathered.sizes == []
    await after(0.1)
    assert gathered.sizes == [3]


@pytest.mark.parametrize("is_other", [False, True])
@in_virtual_time
async def test_a_bundle_goes_when_a_quarter_has_come_behind_its_first_event_of_a_queue(
    is_other: bool,
) -> None:
    gathered = Gathered()
    gathered.park(gathered.hand)
    gathered.park(gathered.other)
    hand = gathered.other if is_other else gathered.hand
    hand.message()
    gathered.park(hand)
    assert gathered.sizes == [3]
    await after(0.1)
    assert (gathered.hand.acknowledged[:1], gathered.other.acknowledged[:1]) == ([1], [1])


@pytest.mark.parametrize("is_other", [False, True])
@in_virtual_time
async def test_a_request_is_handed_over_when_it_holds_up_any_of_its_queues(is_other: bool) -> None:
    bench = Bench()
    other = Hand("consent.events.2")
    other.host = bench.hand.host
    bench.lane.offer(bench.event("lena"))
    bench.lane.offer(event(other, bench.integration, "ole"))
    await after(0.2)
    assert len(bench.rounds.latest.deliveries) == 2
    bench.mark_sent()
    behind = other if is_other else bench.hand
    for _ in range(behind.room):
        behind.message()
    await after(0.7)
    assert bench.handed_over == []
    await after(0.3)
    assert {one.user for one in bench.handed_over} == {"lena", "ole"}


@in_virtual_time
async def test_a_request_stays_in_hand_while_others_come_by_other_queues() -> None:
    bench = Bench()
    other = Hand("consent.events.2")
    await bench.offer("lena")
    bench.mark_sent()
    for _ in range(5 * other.room):
        other.message()
    await after(2.5)
    assert bench.handed_over == []
