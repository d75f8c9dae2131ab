"""An event of an organization without integration is passed over once the fleet was asked."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import orjson
import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Hand
from tests.unit.delivery.pipeline_parts import SHOP, body
from tests.unit.delivery.test_receipting import Book
from tests.unit.delivery.test_waiting_for_a_person import Office
from tests.unit.delivery.virtual_time import after, in_virtual_time, now, spend
from worker.broker.headers import BLOCKED_SINCE, BUNDLE, PARKS
from worker.broker.message import Incoming
from worker.broker.retry_state import FRESH, RetryState
from worker.delivery.bundles.bundle_format import first_body
from worker.delivery.outcome import Outcome, Parked, Skipped
from worker.delivery.routing import Ends
from worker.delivery.unknown_organizations import AskFleet, UnknownOrganizations
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import ParkReason, SkipReason

PASSED_OVER = Skipped(SkipReason.NO_INTEGRATION)
PIECE_SECONDS = 0.002
SLICE_SECONDS = 0.02
ASKED_SECONDS = 0.25
"""Events gather for a moment, and then the fleet is asked."""
WEEK = 7 * 86_400


class Bench:
    """`ended` is what became of each message that was handled to its end, which takes a piece of
    `piece_seconds`.
    """

    def __init__(self) -> None:
        self.hand = Hand()
        self.asked = 0
        self.away = 0
        self.piece_seconds = 0.0
        self.state = FRESH
        self.ended: dict[Incoming, Outcome] = {}
        self.meanwhile: Callable[[], None] = lambda: None
        self.unknown = UnknownOrganizations(self._ask, self.handle)

    async def _ask(self) -> None:
        self.asked += 1
        self.meanwhile()
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")

    def handle(self, message: Incoming) -> None:
        outcome = self.unknown.ending(message, Ends(None, self.state, PASSED_OVER), "northwind")
        if outcome is not None:
            spend(self.piece_seconds)
            self.ended[message] = outcome

    def come(self, count: int = 1) -> list[Incoming]:
        messages = [self.hand.message() for _ in range(count)]
        for one in messages:
            self.handle(one)
        return messages

    @property
    def handled(self) -> list[Incoming]:
        return list(self.ended)


@in_virtual_time
async def test_many_wait_for_one_question() -> None:
    bench = Bench()
    messages = bench.come(50)
    assert bench.handled == []
    await after(0.5)
    assert bench.handled == messages
    assert set(bench.ended.values()) == {PASSED_OVER}
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


@pytest.mark.parametrize(("parks", "seconds"), [(0, 4.0), (3, 32.0), (100, 256.0)])
@in_virtual_time
async def test_while_the_store_is_away_it_is_parked_and_takes_up_no_place(
    parks: int, seconds: float
) -> None:
    bench = Bench()
    bench.away = 1
    bench.state = RetryState(parks=parks)
    [message] = bench.come()
    await after(ASKED_SECONDS)
    in_doubt = Parked(seconds, ParkReason.IN_DOUBT, organization_id="northwind")
    assert bench.ended == {message: in_doubt}


@in_virtual_time
async def test_what_comes_back_is_asked_for_again() -> None:
    bench = Bench()
    bench.away = 1
    bench.come()
    await after(10)
    [again] = bench.come()
    assert again not in bench.ended
    await after(ASKED_SECONDS)
    assert bench.ended[again] == PASSED_OVER
    assert bench.asked == 2


def _messages() -> int:
    gc.collect()
    return sum(type(one) is Incoming for one in gc.get_objects())


@pytest.mark.parametrize("away", [0, 100], ids=["", "while the store is away"])
@in_virtual_time
async def test_what_the_broker_has_again_is_let_go_of(away: int) -> None:
    """However many sessions follow one another."""
    bench = Bench()
    bench.away = away
    before = _messages()
    for _ in range(5):
        bench.hand = Hand()
        bench.come(20)
        bench.hand.host.lost.set()
    assert _messages() == before + 100
    await after(1)
    assert bench.ended == {}
    assert _messages() == before


@pytest.mark.parametrize("away", [0, 1], ids=["passed over", "parked"])
@in_virtual_time
async def test_between_slices_of_many_events_everybody_else_has_a_turn(away: int) -> None:
    bench = Bench()
    bench.away = away
    bench.piece_seconds = PIECE_SECONDS
    messages = bench.come(300)
    pauses = []
    while len(bench.ended) < len(messages):
        before = now()
        await asyncio.sleep(0.001)
        pauses.append(now() - before)
    # One slice until its timer is looked at, and one each until that is heard and answered.
    assert max(pauses) < 0.001 + 3 * (SLICE_SECONDS + PIECE_SECONDS)
    assert bench.handled == messages, "each once, in order"


@in_virtual_time
async def test_fresh_events_are_passed_over_as_fast_as_they_may_come() -> None:
    """Of customers without integration there may be more than of all others."""
    bench = Bench()
    bench.come(5_000)
    await after(ASKED_SECONDS)
    assert len(bench.ended) == 5_000


@in_virtual_time
async def test_what_comes_back_leaves_fresh_events_more_than_a_turn() -> None:
    bench = Bench()
    bench.hand.is_second = True
    bench.come(5_000)
    await after(1)
    assert 0 < len(bench.ended) < 5_000
    await after(5)
    assert len(bench.ended) == 5_000


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
    assert unknown.ending(Hand().message(), Ends(None, FRESH, outcome), "northwind") == outcome


class Newcomer(Office):
    """A worker that does not have the file of a new integration yet, and can't ask the fleet."""

    def __init__(self) -> None:
        self.book = Book()
        self.is_away = True
        super().__init__(receipts=self.book, ask_fleet=self._ask)
        self.in_force = []

    async def _ask(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away")


@in_virtual_time
async def test_while_the_store_is_away_an_event_waits_for_its_integration_without_end() -> None:
    office = Newcomer()
    office.pipeline.handle(office.hand.message(body("e1")))
    for parks in range(1, 12):
        await after(1)
        parked = office.latest
        assert parked.headers[PARKS] == parks
        assert BLOCKED_SINCE not in parked.headers, "nobody's patience is at stake"
        await after(WEEK)
        await office.come_back(parked)
    await after(1)
    assert office.hand.in_hand == 0
    told = [(one["outcome"], one["reason"], one["organization"]) for one in office.book.written]
    assert set(told) == {("parked", "in-doubt", "northwind")}
    office.in_force = [SHOP]
    await office.come_back(office.latest)
    assert office.told[-1] == "delivered"


@in_virtual_time
async def test_it_shares_no_bundle_with_the_events_of_another_organization() -> None:
    """The doubt about one may be over long before that about the other."""
    office = Newcomer()
    for number in range(6):
        document = orjson.loads(body(f"e{number}", user=f"u{number}"))
        document["organization_id"] = f"org-{number % 2}"
        office.pipeline.handle(office.hand.message(orjson.dumps(document)))
    await after(ASKED_SECONDS + GATHERED_SECONDS)
    parked = office.hand.host.published
    assert [one.headers[BUNDLE] for one in parked] == [3, 3]
    first = [orjson.loads(first_body(one.body))["organization_id"] for one in parked]
    assert first == ["org-0", "org-1"]
