"""Every event of which Adobe saw a first attempt keeps its schedule, however its endpoint hangs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.delivery.fleet import Fleet
from tests.unit.delivery.virtual_time import after, in_virtual_time, now
from worker.adobe.replies import Accepted, Retryable
from worker.reasons import ErrorCode

HANG_SECONDS = 400
AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "", 503)


@pytest.mark.parametrize("events", [1, 20, 60, 300, 2_000])
@pytest.mark.parametrize(
    ("workers", "limits"),
    [
        (1, {}),
        (3, {}),
        (1, {"messages_per_request": 1}),
        (3, {"messages_per_request": 1}),
        (1, {"requests_in_flight": 1}),
        (3, {"requests_in_flight": 2}),
        (1, {"requests_in_flight": 1, "messages_per_request": 1}),
        (1, {"requests_in_flight": 1, "messages_per_request": 3}),
        (1, {"profile_gap_seconds": 60}),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
@in_virtual_time
async def test_through_a_hang_each_begun_event_is_seen_six_times_in_five_minutes(
    events: int, workers: int, limits: dict[str, Any], at_once: bool
) -> None:
    fleet = Fleet(workers, **limits)
    fleet.adobe.answers.clear()
    began = now()
    if at_once:
        fleet.publish(events)
    else:  # over two minutes
        for number in range(120):
            fleet.publish(events * (number + 1) // 120 - events * number // 120)
            await after(1)
    await after(began + HANG_SECONDS - now())
    dead = len(fleet.line.letters)
    for user, times in fleet.adobe.times.items():
        expected = 6 if began + HANG_SECONDS - times[0] > 300 else 1
        in_time = [one for one in times if one - times[0] <= 300]
        assert len(in_time) >= expected, (user, [round(one - times[0], 1) for one in times])
    # Adobe answers again; all that is in the middle of its schedule, or not begun, is delivered.
    fleet.adobe.answers.set()
    await after(300)
    assert dead + fleet.told.count("delivered") == events
    assert fleet.told.count("dead") == len(fleet.line.letters) == dead


@pytest.mark.parametrize("events", [1, 20, 60, 300, 2_000])
@in_virtual_time
async def test_what_is_begun_is_dead_after_a_hang_that_does_not_end_and_the_rest_waits(
    events: int,
) -> None:
    fleet = Fleet()
    fleet.adobe.answers.clear()
    fleet.publish(events)
    await after(3)
    begun = set(fleet.adobe.times)
    assert len(begun) >= min(events, 200)
    await after(330)
    letters = len(fleet.line.letters)
    assert len(begun) <= letters <= len(fleet.adobe.times)
    assert fleet.adobe.most_under_way <= 8
    assert {one["consent-dead-reason"] for one in fleet.line.letters} == {"retries-exhausted"}


@in_virtual_time
async def test_an_endpoint_that_is_back_is_found_within_seconds() -> None:
    """Not only when the next retry is due, which may be a minute and a half later."""
    fleet = Fleet()
    fleet.adobe.reply = AWAY
    fleet.publish(300)
    await after(115)  # the retries of these are due after 200 s
    fleet.publish(50)
    await after(2)
    fleet.adobe.reply = Accepted("x")
    await after(20)
    assert fleet.told.count("delivered") >= 50
