"""What happens in a run of chaos follows from its seed."""

from __future__ import annotations

import asyncio
import time
from itertools import islice

import pytest

from devtools.chaos.blows import KINDS, Blow, Kind, blows, strike
from devtools.chaos.customers import CUSTOMERS, draw, in_order_of_publishing
from devtools.chaos.outages import OUTAGES, outages

FAR = 10_000


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.name)
def test_blows_follow_from_the_seed(kind: Kind) -> None:
    first, again, other = (list(islice(blows(seed, kind), 200)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {one.what for one in first} == {"kill", "stop", "stall"}
    assert {one.target for one in first} == set(range(kind.targets))
    for one in first:
        least, most = kind.stalled if one.what == "stall" else kind.away
        assert least <= one.seconds <= most
        assert kind.pause[0] <= one.pause_seconds <= kind.pause[1]


def test_blows_of_one_kind_do_not_depend_on_another() -> None:
    node, worker, *_ = (list(islice(blows(1, kind), 20)) for kind in KINDS)
    assert [one.what for one in node] != [one.what for one in worker]


def test_outages_follow_from_the_seed_and_meet_the_whole_table() -> None:
    first, again, other = (list(islice(outages(seed, "batch"), 500)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {one.name for one in first} == set(OUTAGES)
    assert first != list(islice(outages(1, "single"), 500))


def test_events_follow_from_the_seed() -> None:
    drawn = draw(1, 500)
    assert drawn == draw(1, 500)
    assert drawn != draw(2, 500)
    assert [len(events) for events in drawn.values()] == [100] * len(CUSTOMERS)
    kinds = {event.kind for event in draw(1, 5000)[CUSTOMERS[0]]}
    assert kinds == {"choice", "says-nothing", "no-identity"}


def test_the_order_of_publishing_has_all_events_and_copies_of_some() -> None:
    drawn = draw(1, 500)
    order = in_order_of_publishing(1, drawn)
    assert order == in_order_of_publishing(1, drawn)
    assert len(order) == 575
    published = [(customer.id, event.id) for customer, event in order]
    assert set(published) == {(c.id, event.id) for c, events in drawn.items() for event in events}
    assert published != sorted(published)


class Target:
    """Writes down what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def kill(self) -> None:
        self.done.append("kill")

    def stop(self) -> None:
        self.done.append("stop")

    def start(self) -> None:
        self.done.append("start")

    def stall(self) -> None:
        self.done.append("stall")

    def go_on(self) -> None:
        self.done.append("go on")


async def test_what_is_struck_comes_back_before_the_next_is() -> None:
    one, two = Target(), Target()
    plan = [Blow(0, "kill", 0, 0), Blow(0, "stall", 1, 0), Blow(0, "stop", 0, 0)]
    struck = await strike([one, two], iter(plan), "node", time.monotonic() + FAR, print)
    assert struck == 3
    assert one.done == ["kill", "start", "stop", "start"]
    assert two.done == ["stall", "go on"]


async def test_what_is_away_at_the_end_of_the_time_comes_back() -> None:
    one = Target()
    plan = iter([Blow(0, "stall", 0, FAR), Blow(0, "kill", 0, 0)])
    async with asyncio.timeout(10):
        assert await strike([one], plan, "node", time.monotonic() + 0.1, print) == 1
    assert one.done == ["stall", "go on"]
