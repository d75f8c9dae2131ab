"""What has its turn later goes on after a fault of ours of which not even a dead letter could be
made: it concerns its own message alone, which stays in hand until the broker gives it out again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.delivery.parts import Hand
from tests.unit.delivery.test_fan_out import MANY, Slow
from tests.unit.delivery.test_unknown_organizations import PASSED_OVER
from tests.unit.delivery.test_unknown_organizations import Bench as UnknownBench
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.broker.message import Incoming
from worker.delivery.bundles.opening import BundleOpening
from worker.delivery.outcome import Parked
from worker.delivery.returned_messages import GivingWay


class Faulty:
    """Handles messages, but for those that are `bad`; the loop heard of no fault."""

    def __init__(self, hand: Hand) -> None:
        self.messages = [hand.message() for _ in range(60)]
        self.bad = self.messages[3]
        self.handled: list[Incoming] = []

    def handle(self, message: Incoming) -> None:
        if message is self.bad:
            raise KeyError("private")
        self.handled.append(message)

    def assert_all_others_were_handled(self) -> None:
        assert self.handled == [one for one in self.messages if one is not self.bad]


@in_virtual_time
async def test_events_of_other_integrations_are_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: Any) -> None:
        raise KeyError("private")

    slow = Slow()
    monkeypatch.setattr(slow.fan_out, "_fail", faulty)
    slow.fails_for = "shop-7"
    slow.come("bad")
    slow.come("behind it")
    slow.come("good", "another", MANY[8:12])
    await after(60)
    decided = [name for name, _ in slow.decided]
    assert decided.count("good") == 4
    assert decided.count("behind it") == len(MANY) - 1
    slow.come("later", "another", MANY[8:12])
    await after(60)
    assert [name for name, _ in slow.decided].count("later") == 4


@in_virtual_time
async def test_retries_go_on(caplog: pytest.LogCaptureFixture) -> None:
    hand = Hand()
    hand.is_second = True
    faulty = Faulty(hand)
    giving_way = GivingWay(faulty.handle)
    for one in faulty.messages:
        giving_way.add(one)
    await after(5)
    faulty.assert_all_others_were_handled()
    assert "private" not in caplog.text


@pytest.mark.parametrize("fails", ["open", "take"])
@in_virtual_time
async def test_bundles_go_on(fails: str, caplog: pytest.LogCaptureFixture) -> None:
    hand = Hand()
    hand.is_second = True
    faulty = Faulty(hand)

    def open_bundle(bundle: Incoming) -> tuple[list[Incoming], float]:
        if fails == "open":
            faulty.handle(bundle)
            return [], 0.02
        return [bundle], 0.02

    opening = BundleOpening(open_bundle, faulty.handle)
    for one in faulty.messages:
        opening.add(one)
    await after(5)
    faulty.assert_all_others_were_handled()
    assert "private" not in caplog.text


@in_virtual_time
async def test_what_was_to_be_passed_over_is_parked_where_the_fleet_can_not_be_asked() -> None:
    bench = UnknownBench()

    def fail() -> None:
        raise KeyError("private")

    bench.meanwhile = fail
    bench.come(3)
    await after(1)
    assert [type(one) for one in bench.ended.values()] == [Parked] * 3
    bench.meanwhile = lambda: None
    again = bench.come(3)
    await after(1)
    assert [bench.ended[one] for one in again] == [PASSED_OVER] * 3


@in_virtual_time
async def test_one_that_can_not_be_passed_over_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = UnknownBench()
    faulty = Faulty(bench.hand)
    handle: Callable[[Incoming], None] = bench.unknown._handle

    def both(message: Incoming) -> None:
        handle(message)
        faulty.handle(message)

    monkeypatch.setattr(bench.unknown, "_handle", both)
    for one in faulty.messages:
        bench.handle(one)
    await after(5)
    faulty.assert_all_others_were_handled()
