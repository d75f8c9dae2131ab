"""The lane of one integration: what goes when, and with whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.delivery.lane_parts import OK, TIMEOUT, Bench
from tests.unit.delivery.parts import Hand, event
from tests.unit.delivery.virtual_time import after, in_virtual_time, now, quiet
from tests.unit.examples import integration
from worker.adobe.replies import Retryable
from worker.broker.headers import HTTP_STATUS
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.request_pacing import LONGEST_WAIT_SECONDS
from worker.delivery.outcome import Failure
from worker.delivery.rounds.round_results import Crashed
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import ErrorCode

TICK_SECONDS = 0.001
"""Alarms ring at whole milliseconds."""


def names(count: int, prefix: str = "user") -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


# What goes together


@in_virtual_time
async def test_an_idle_lane_sends_one_event_at_once() -> None:
    bench = Bench()
    began = now()
    [one] = await bench.offer("lena")
    [first] = bench.rounds.made
    assert first.deliveries == [one]
    assert now() - began < 0.001


@in_virtual_time
async def test_what_comes_in_one_burst_goes_in_one_request() -> None:
    bench = Bench()
    await bench.offer("lena", "ole", "ida")
    assert [one.users for one in bench.rounds.made] == [["lena", "ole", "ida"]]


@in_virtual_time
async def test_events_of_one_user_that_wait_go_as_one_message() -> None:
    bench = Bench()
    offered = await bench.offer("lena", "ole", "lena")
    [first] = bench.rounds.made
    assert first.groups == [[offered[0], offered[2]], [offered[1]]]


@in_virtual_time
async def test_a_user_never_has_two_messages_under_way() -> None:
    bench = Bench()
    await bench.offer("lena")
    later = await bench.offer("lena", "lena")
    await after(60)
    assert len(bench.rounds.made) == 1
    await bench.rounds.latest.answer()
    assert bench.rounds.latest.groups == [later]


@in_virtual_time
async def test_a_gap_lies_between_two_messages_of_a_user_and_hinders_nobody_else() -> None:
    bench = Bench(profile_gap_seconds=1)
    await bench.offer("lena")
    await bench.rounds.latest.answer()
    await bench.offer("lena", "ole")
    assert bench.rounds.latest.users == ["ole"]
    await after(0.9)
    assert bench.rounds.latest.users == ["ole"]
    await after(0.11)
    assert bench.rounds.latest.users == ["lena"]


@in_virtual_time
async def test_a_request_has_at_most_as_many_messages_as_the_integration_allows() -> None:
    bench = Bench(messages_per_request=10)
    await bench.offer(*names(25))
    assert [len(one.users) for one in bench.rounds.made[:2]] == [10, 10]
    await after(0.01)
    assert [len(one.users) for one in bench.rounds.made] == [10, 10, 5]


@in_virtual_time
async def test_messages_go_alone_where_there_is_no_endpoint_for_several() -> None:
    bench = Bench()
    properties = bench.integration.properties.model_copy(
        update={"dataflow_endpoint": "https://dcs.adobedc.net/single/1"}
    )
    bench.lane.adopt(bench.integration.model_copy(update={"properties": properties}))
    await bench.offer("lena", "ole")
    assert [one.users for one in bench.rounds.made] == [["lena"], ["ole"]]


@in_virtual_time
async def test_a_request_has_at_most_900_kilobytes_of_events() -> None:
    bench = Bench()
    for user in names(4):
        one = bench.event(user)
        one.message.body = b" " * 400_000
        bench.lane.offer(one)
    await after(0.01)
    assert [len(one.users) for one in bench.rounds.made] == [2, 2]


@in_virtual_time
async def test_an_event_larger_than_that_goes_alone() -> None:
    bench = Bench()
    for user, size in (("lena", 10), ("ole", 2_000_000), ("ida", 10)):
        one = bench.event(user)
        one.message.body = b" " * size
        bench.lane.offer(one)
    await after(0.01)
    assert [one.users for one in bench.rounds.made] == [["lena"], ["ole"], ["ida"]]


@pytest.mark.parametrize(("attempts", "largest"), [(1, 25), (2, 3), (3, 1), (4, 1)])
@in_virtual_time
async def test_what_met_http_500_goes_in_ever_smaller_company(attempts: int, largest: int) -> None:
    bench = Bench()
    state = RetryState("shop", attempts, 1)
    await bench.fill()
    await bench.offer(*names(30, "before"))
    await bench.offer("suspect", state=state, headers={HTTP_STATUS: 500})
    await bench.offer(*names(30, "after"))
    for _ in range(5):
        for one in bench.rounds.under_way:
            await one.answer()
    for one in bench.rounds.made:
        assert "suspect" not in one.users or len(one.users) <= largest
    assert sum(one.users.count("suspect") for one in bench.rounds.made) == 1
    assert len(bench.concluded) == 61 + 4


# How much at once


@in_virtual_time
async def test_no_more_requests_are_in_flight_than_the_window_allows() -> None:
    bench = Bench(messages_per_request=1)
    await bench.offer(*names(20))
    assert len(bench.rounds.under_way) == bench.lane.window.size == 4
    await bench.rounds.under_way[0].answer()
    assert len(bench.rounds.under_way) == bench.lane.window.size


@in_virtual_time
async def test_the_window_grows_while_it_is_full_and_all_goes_well() -> None:
    bench = Bench(messages_per_request=1)
    await bench.offer(*names(100))
    for _ in range(60):
        await bench.rounds.under_way[0].answer()
    assert bench.lane.window.size == 8


@pytest.mark.parametrize(
    "error",
    [
        ErrorCode.ADOBE_THROTTLED,
        ErrorCode.ADOBE_UNAVAILABLE,
        ErrorCode.CONNECTION_FAILED,
        ErrorCode.TIMEOUT,
        ErrorCode.TOKEN_UNAVAILABLE,
    ],
)
@in_virtual_time
async def test_it_is_halved_once_for_all_that_failed_together(error: ErrorCode) -> None:
    bench = Bench(messages_per_request=1)
    await bench.offer(*names(4))
    for one in bench.rounds.under_way:
        await one.answer(Retryable(error, ""))
    assert bench.lane.window.size == 2


@in_virtual_time
async def test_one_message_that_was_refused_by_load_is_enough() -> None:
    bench = Bench()
    mixed = await bench.offer("lena", "ole")
    bench.rounds.latest.end.set_result([(mixed[0], OK), (mixed[1], TIMEOUT)])
    await quiet()
    assert bench.lane.window.size == 2


@in_virtual_time
async def test_no_more_events_are_in_requests_than_may_be() -> None:
    bench = Bench(max_events_in_flight=10, messages_per_request=4)
    await bench.offer(*names(30))
    await after(0.01)
    assert [len(one.users) for one in bench.rounds.under_way] == [4, 4, 2]
    await after(60)
    assert len(bench.rounds.under_way) == 3
    await bench.rounds.under_way[0].answer()
    await after(0.01)
    assert sum(len(one.users) for one in bench.rounds.under_way) == 10


@in_virtual_time
async def test_more_events_of_one_user_than_that_go_when_nothing_else_is_under_way() -> None:
    bench = Bench(max_events_in_flight=10)
    await bench.offer("lena")
    await bench.offer(*["ole"] * 15)
    await after(1)
    assert len(bench.rounds.under_way) == 1
    await bench.rounds.latest.answer()
    await after(1)
    assert len(bench.rounds.latest.deliveries) == 15


async def keep_busy(bench: Bench, seconds: float) -> None:
    """An event each millisecond, and answers at once."""
    for number in range(round(seconds * 1000)):
        await bench.offer(f"early-{number}")
        for one in bench.rounds.under_way:
            await one.answer()
        await after(0.001)


@in_virtual_time
async def test_the_events_of_a_busy_worker_wait_for_company_and_not_for_long() -> None:
    bench = Bench(cpu_share=0.97)
    await keep_busy(bench, 3)
    made = len(bench.rounds.made)
    await bench.offer("lena")
    await bench.offer("ole")
    assert len(bench.rounds.made) == made
    await after(LONGEST_WAIT_SECONDS + TICK_SECONDS)
    assert [user for one in bench.rounds.made[made:] for user in one.users][-2:] == ["lena", "ole"]


@in_virtual_time
async def test_those_of_a_worker_at_ease_wait_for_nothing() -> None:
    bench = Bench(cpu_share=0.1)
    await keep_busy(bench, 3)
    await bench.offer("lena")
    await bench.offer("ole")
    assert [one.users for one in bench.rounds.made[-2:]] == [["lena"], ["ole"]]


@in_virtual_time
async def test_a_full_request_waits_for_no_company() -> None:
    bench = Bench(messages_per_request=2, cpu_share=0.97)
    await keep_busy(bench, 3)
    await after(LONGEST_WAIT_SECONDS)
    await bench.offer("lena", "ole")
    assert bench.rounds.latest.users == ["lena", "ole"]


@in_virtual_time
async def test_where_messages_go_alone_none_waits_for_company() -> None:
    bench = Bench(messages_per_request=1, cpu_share=0.97)
    await keep_busy(bench, 3)
    await bench.offer("lena")
    assert bench.rounds.latest.users == ["lena"]


@in_virtual_time
async def test_requests_keep_the_pace_that_the_integration_allows() -> None:
    bench = Bench(requests_per_second=2, messages_per_request=1)
    began = now()
    starts: list[float] = []
    await bench.offer(*names(5))
    while len(starts) < 5:
        for one in bench.rounds.under_way:
            starts.append(now() - began)
            await one.answer()
        await after(0.01)
    assert starts == pytest.approx([0, 0.5, 1.0, 1.5, 2.0], abs=0.02)


@in_virtual_time
async def test_an_idle_lane_saves_up_no_pace() -> None:
    bench = Bench(requests_per_second=2, messages_per_request=1)
    await after(100)
    await bench.offer(*names(5))
    assert len(bench.rounds.made) == 1


@pytest.mark.parametrize(("asked", "rest"), [(3, 3), (3600, 5)])
@in_virtual_time
async def test_the_lane_rests_as_long_as_the_endpoint_asks_up_to_a_limit(
    asked: float, rest: float
) -> None:
    bench = Bench()
    await bench.offer("lena")
    await bench.rounds.latest.answer(Retryable(ErrorCode.ADOBE_THROTTLED, "", 429, asked))
    await bench.offer("ole")
    await after(rest - 0.1)
    assert len(bench.rounds.made) == 1
    await after(0.1 + TICK_SECONDS)
    assert bench.rounds.latest.users == ["ole"]


@in_virtual_time
async def test_a_changed_limit_holds_from_the_next_request_on() -> None:
    bench = Bench()
    limits = {"messages_per_request": 1, "requests_in_flight": 2, "profile_gap_seconds": 0}
    changed = integration(limits=limits)
    assert not bench.lane.adopt(changed)
    await bench.offer("lena", "ole", "ida")
    assert [one.users for one in bench.rounds.under_way] == [["lena"], ["ole"]]
    assert all(one.integration is changed for one in bench.rounds.made)


@in_virtual_time
async def test_a_changed_configuration_ends_a_pause_and_says_so() -> None:
    bench = Bench()
    bench.lane.block.failed(Failure(ErrorCode.TOKEN_REFUSED, ""), now())
    assert bench.lane.adopt(bench.integration)
    assert not bench.lane.block.is_on


# Suspects


@in_virtual_time
async def test_a_suspect_goes_at_once_and_alone_however_much_waits() -> None:
    bench = Bench()
    await bench.fill()
    await bench.offer(*names(5))
    [suspect] = await bench.offer("suspect", is_suspect=True)
    assert bench.rounds.latest.deliveries == [suspect]


@in_virtual_time
async def test_a_suspect_whose_user_has_a_message_under_way_waits_for_that() -> None:
    bench = Bench()
    await bench.offer("lena")
    [suspect] = await bench.offer("lena", is_suspect=True)
    assert len(bench.rounds.made) == 1
    await bench.rounds.latest.answer()
    assert bench.rounds.latest.deliveries == [suspect]


# What goes wrong


@in_virtual_time
async def test_a_crash_is_each_ones_result_and_the_lane_goes_on() -> None:
    bench = Bench()
    offered = await bench.offer("lena", "ole")
    await bench.rounds.latest.fail(KeyError("private"))
    assert bench.concluded == [(one, Crashed("KeyError")) for one in offered]
    await bench.offer("lena")
    await bench.rounds.latest.answer()
    assert bench.concluded[-1][1] == OK
    assert bench.lane.is_idle


@in_virtual_time
async def test_while_the_store_is_away_all_waits_in_its_order_and_then_goes() -> None:
    bench = Bench()
    bench.store.away["ping"] = 3
    first = await bench.offer("lena", "ole")
    second = await bench.offer("lena")
    await bench.rounds.latest.find_the_store_away()
    third = await bench.offer("ida", "lena")
    assert not bench.gate.is_open
    assert bench.rounds.under_way == []
    assert bench.lane.held == 5
    await after(10)
    assert bench.gate.is_open
    assert bench.concluded == []
    assert [group for one in bench.rounds.under_way for group in one.groups] == [
        [first[0], *second, third[1]],
        [first[1]],
        [third[0]],
    ]


@in_virtual_time
async def test_a_suspect_that_finds_the_store_away_goes_later() -> None:
    bench = Bench()
    bench.store.away["ping"] = 3
    bench.gate.close(StoreUnavailable("away"))
    [suspect] = await bench.offer("lena", is_suspect=True)
    for one in bench.rounds.under_way:
        await one.find_the_store_away()
    await after(10)
    assert bench.rounds.latest.deliveries == [suspect]
    await bench.rounds.latest.answer()
    assert bench.lane.is_idle


@in_virtual_time
async def test_what_the_broker_has_again_is_let_go_of() -> None:
    bench = Bench(messages_per_request=1, requests_in_flight=1)
    await bench.offer("lena")
    await bench.offer("lena", "ole")
    bench.hand.host.lost.set()
    bench.hand = Hand()
    [ours] = await bench.offer("ole")
    bench.lane.drop_returned()
    assert bench.lane.held == 2  # the one in the request, and ours
    await bench.rounds.latest.answer()
    assert bench.rounds.latest.deliveries == [ours]
    await bench.rounds.latest.answer()
    assert bench.lane.is_idle
    assert len(bench.rounds.made) == 2


@in_virtual_time
async def test_what_is_lost_while_the_store_is_away_is_not_put_back() -> None:
    bench = Bench()
    await bench.offer("lena")
    bench.hand.host.lost.set()
    bench.lane.drop_returned()
    await bench.rounds.latest.find_the_store_away()
    assert bench.lane.is_idle
    await after(10)
    assert len(bench.rounds.made) == 1


@in_virtual_time
async def test_what_may_not_wait_on_is_released_and_its_user_is_free() -> None:
    bench = Bench()
    [former] = await bench.offer("lena")
    bench.lane.adopt(bench.integration.with_state_id("another"))
    [present] = await bench.offer("lena")
    await bench.rounds.latest.find_the_store_away()
    assert bench.released == [former]
    assert bench.lane.held == 1
    await after(10)
    assert bench.rounds.latest.deliveries == [present]
    await bench.rounds.latest.answer()
    assert bench.lane.is_idle


@in_virtual_time
async def test_a_round_goes_by_what_was_in_force_when_it_took_its_events() -> None:
    bench = Bench()
    bench.lane.offer(bench.event(is_suspect=True))
    bench.lane.adopt(bench.integration.with_state_id("another"))
    await quiet()
    assert bench.rounds.latest.integration is bench.integration


@in_virtual_time
async def test_what_waited_behind_it_goes_at_once_where_another_part_has_its_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.store, "parts", ("s", "a"))
    monkeypatch.setattr(bench.store, "part_of", lambda state_id: state_id[0])
    bench.store.away["ping"] = 1000
    await bench.offer("lena")
    bench.lane.adopt(bench.integration.with_state_id("another"))
    [present] = await bench.offer("lena")
    await bench.rounds.latest.find_the_store_away()
    assert not bench.gate.is_open_for("shop")
    assert bench.rounds.latest.deliveries == [present]
    await bench.gate.stop()


@in_virtual_time
async def test_what_may_not_wait_on_and_is_lost_is_not_released() -> None:
    bench = Bench()
    await bench.offer("lena")
    bench.lane.adopt(bench.integration.with_state_id("another"))
    bench.hand.host.lost.set()
    await bench.rounds.latest.find_the_store_away()
    assert bench.released == []
    await after(10)
    assert bench.lane.is_idle


# What is given up


@in_virtual_time
async def test_what_waits_can_be_taken_out_and_what_is_in_a_request_can_not() -> None:
    bench = Bench(requests_in_flight=1)
    await bench.offer("lena")
    waiting = await bench.offer("ole", "lena", "ida")
    cleared = bench.lane.take_all_waiting()
    assert set(cleared) == set(waiting)
    assert bench.lane.held == 1
    await bench.rounds.latest.answer()
    assert len(bench.rounds.made) == 1
    assert bench.lane.is_idle


@in_virtual_time
async def test_what_waits_can_be_taken_out_while_results_are_concluded() -> None:
    bench = Bench(requests_in_flight=1)
    cleared: list[Delivery] = []
    bench.on_conclude = lambda lane: cleared.extend(lane.take_all_waiting())
    await bench.offer("lena")
    waiting = await bench.offer("lena", "ole")
    await bench.rounds.latest.answer()
    assert set(cleared) == set(waiting)
    assert bench.lane.is_idle
    assert len(bench.rounds.made) == 1


@in_virtual_time
async def test_beyond_its_share_the_newest_are_shed_and_the_lane_keeps_the_rest() -> None:
    bench = Bench(requests_in_flight=1, messages_per_request=1)
    offered = await bench.offer(*names(10))
    parked = bench.give_up_surplus(4)
    assert set(parked) == set(offered[4:])
    assert bench.lane.held == 4
    for _ in range(4):
        await bench.rounds.latest.answer()
    assert [one for one, _ in bench.concluded] == offered[:4]
    assert bench.lane.is_idle


@in_virtual_time
async def test_what_is_in_a_request_counts_in_the_share_and_stays() -> None:
    bench = Bench(requests_in_flight=1)
    under_way = await bench.offer(*names(6))
    waiting = await bench.offer("lena", "ole", "user-1")
    parked = bench.give_up_surplus(2)
    assert set(parked) == set(waiting)
    await bench.rounds.latest.answer()
    assert [one for one, _ in bench.concluded] == under_way
    assert bench.lane.is_idle


@in_virtual_time
async def test_only_what_came_by_the_crowded_intake_is_shed() -> None:
    bench = Bench(requests_in_flight=1)
    await bench.offer("lena")
    retries, other = bench.hand, Hand("consent.retries")
    bench.hand = other
    kept = await bench.offer("ole", "ida")
    bench.hand = retries
    shed = await bench.offer("ole", "tom")
    assert set(bench.give_up_surplus(0, retries)) == set(shed)
    await bench.rounds.latest.answer()
    assert bench.rounds.latest.deliveries == kept


@in_virtual_time
async def test_a_lane_within_its_share_sheds_nothing() -> None:
    bench = Bench(requests_in_flight=1, messages_per_request=1)
    await bench.offer(*names(4))
    assert bench.give_up_surplus(4) == []
    assert bench.lane.held == 4


@in_virtual_time
async def test_a_suspect_is_not_shed() -> None:
    bench = Bench(requests_in_flight=1)
    await bench.offer("lena")
    await bench.offer("lena", is_suspect=True)
    assert bench.give_up_surplus(0) == []


# Whether it keeps up


@in_virtual_time
async def test_a_lane_keeps_up_as_long_as_no_event_is_in_it_for_long() -> None:
    bench = Bench()
    assert bench.lane.keeps_up()
    await bench.offer("lena")
    await after(0.4)
    assert bench.lane.keeps_up()
    await after(0.2)
    assert not bench.lane.keeps_up()
    await bench.rounds.latest.answer()
    assert bench.lane.keeps_up()


@in_virtual_time
async def test_when_one_is_through_the_one_that_waits_longest_tells() -> None:
    bench = Bench(requests_in_flight=1, messages_per_request=1)
    await bench.offer("lena")
    await after(0.3)
    await bench.offer("ole")
    await after(0.3)
    await bench.rounds.latest.answer()
    assert bench.lane.keeps_up()
    await after(2)
    assert not bench.lane.keeps_up()


@in_virtual_time
async def test_a_lane_that_works_off_what_it_holds_keeps_up_however_long_that_waited() -> None:
    bench = Bench(requests_in_flight=1, messages_per_request=10)
    await bench.offer(*names(500))
    for _ in range(20):
        await after(0.1)
        await bench.rounds.latest.answer()
    assert bench.lane.keeps_up()  # 300 are left, at 100 a second
    await after(1.1)
    assert not bench.lane.keeps_up()


@in_virtual_time
async def test_what_is_taken_out_of_a_lane_tells_nothing_any_more() -> None:
    bench = Bench()
    bench.gate.close(StoreUnavailable("away"))
    bench.store.away["ping"] = 1_000

    def lose_the_line() -> None:
        bench.hand.host.lost.set()
        bench.lane.drop_returned()

    ways: list[Callable[[], object]] = [
        bench.lane.take_all_waiting,
        lambda: bench.give_up_surplus(0),
        lose_the_line,
    ]
    for take_out in ways:
        await bench.offer("lena", "ole")
        await after(1)
        assert not bench.lane.keeps_up()
        take_out()
        assert bench.lane.keeps_up()
        assert bench.lane.held == 0
    await bench.gate.stop()


# When what is parked comes back


@in_virtual_time
async def test_parked_events_come_back_at_the_pace_at_which_events_went() -> None:
    bench = Bench(messages_per_request=1)
    for number in range(500):  # fifty a second
        if number % 100 == 0:
            bench.lane.health.throughput.seconds_until_room(1)
        await bench.offer("lena", "ole")
        for one in bench.rounds.under_way:
            await one.answer()
        await after(0.04)
    delays = [bench.lane.health.throughput.seconds_until_room(1) for _ in range(1000)]
    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(8)
    assert delays[200] == pytest.approx(200 / 50, rel=0.2)


@in_virtual_time
async def test_a_lane_that_stands_still_parks_for_ever_longer_but_8_seconds_at_most() -> None:
    bench = Bench()
    delays = []
    for _ in range(60):
        delays += [bench.lane.health.throughput.seconds_until_room(1) for _ in range(50)]
        await after(1)
    assert min(delays) >= 1
    assert max(delays) == pytest.approx(8)
    assert delays[0] < 2
    assert delays[-1] == pytest.approx(8)


@in_virtual_time
async def test_what_was_parked_in_bad_times_delays_nothing_in_good_ones_for_long() -> None:
    bench = Bench()
    for _ in range(20):
        for _ in range(1000):
            bench.lane.health.throughput.seconds_until_room(1)
        await after(2)
    await after(65)
    assert bench.lane.health.throughput.seconds_until_room(1) < 2


# When it may go


@in_virtual_time
async def test_a_lane_is_idle_when_nothing_is_held_and_no_gap_runs() -> None:
    bench = Bench(profile_gap_seconds=1)
    assert bench.lane.is_idle
    await bench.offer("lena")
    assert not bench.lane.is_idle
    await bench.rounds.latest.answer()
    assert not bench.lane.is_idle
    await after(1.1)
    assert bench.lane.is_idle


@in_virtual_time
async def test_an_event_that_comes_in_the_gap_is_taken_out_with_the_rest() -> None:
    bench = Bench(profile_gap_seconds=1)
    await bench.offer("lena")
    await bench.rounds.latest.answer()
    [waiting] = await bench.offer("lena")
    assert bench.lane.take_all_waiting() == [waiting]
    await after(2)
    assert bench.lane.is_idle
    assert len(bench.rounds.made) == 1


@in_virtual_time
async def test_what_an_old_intake_gave_is_shed_from_a_gap_too() -> None:
    bench = Bench(profile_gap_seconds=1)
    await bench.offer("lena")
    await bench.rounds.latest.answer()
    waiting = [event(bench.hand, bench.integration, "lena") for _ in range(3)]
    for one in waiting:
        bench.lane.offer(one)
    assert bench.give_up_surplus(0) == waiting
    assert bench.lane.held == 0
