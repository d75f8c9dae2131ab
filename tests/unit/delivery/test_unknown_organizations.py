"""An event of an organization without integration is passed over once the fleet was asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.delivery.parts import Hand
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.broker.message import Incoming
from worker.delivery.outcome import Skipped
from worker.delivery.unknown_organizations import AskFleet, UnknownOrganizations
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import SkipReason

PASSED_OVER = Skipped(SkipReason.NO_INTEGRATION)


class Bench:
    """`handled` are the messages that were handled to their end."""

    def __init__(self) -> None:
        self.hand = Hand()
        self.asked = 0
        self.away = 0
        self.handled: list[Incoming] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.unknown = UnknownOrganizations(self._ask, self.handle)

    async def _ask(self) -> None:
        self.asked += 1
        self.meanwhile()
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")

    def handle(self, message: Incoming) -> None:
        if not self.unknown.must_wait(message, PASSED_OVER):
            self.handled.append(message)


@in_virtual_time
async def test_many_wait_for_one_question() -> None:
    bench = Bench()
    messages = [bench.hand.message() for _ in range(50)]
    for one in messages:
        bench.handle(one)
    assert bench.handled == []
    await after(0.5)
    assert bench.handled == messages
    assert bench.asked == 1


@in_virtual_time
async def test_what_comes_while_the_fleet_is_asked_waits_for_the_next_question() -> None:
    bench = Bench()
    first, second = bench.hand.message(), bench.hand.message()
    bench.meanwhile = lambda: bench.handle(second) if bench.asked == 1 else None
    bench.handle(first)
    await after(0.3)
    assert bench.handled == [first]
    await after(0.3)
    assert bench.handled == [first, second]
    assert bench.asked == 2


@in_virtual_time
async def test_while_the_store_is_away_nothing_is_passed_over() -> None:
    bench = Bench()
    bench.away = 3
    bench.handle(bench.hand.message())
    await after(2)
    assert bench.handled == []
    await after(5)
    assert len(bench.handled) == 1
    bench.handle(bench.hand.message())
    await after(1)
    assert len(bench.handled) == 2


@in_virtual_time
async def test_what_the_broker_has_again_is_let_go_of() -> None:
    bench = Bench()
    bench.handle(bench.hand.message())
    bench.hand.host.lost.set()
    await after(1)
    assert bench.handled == []


@pytest.mark.parametrize(
    ("fleet", "outcome"),
    [
        (None, PASSED_OVER),
        (Bench._ask, Skipped(SkipReason.DISABLED)),
    ],
)
@in_virtual_time
async def test_nothing_else_waits(fleet: AskFleet | None, outcome: Skipped) -> None:
    unknown = UnknownOrganizations(fleet, lambda _: None)
    assert not unknown.must_wait(Hand().message(), outcome)
