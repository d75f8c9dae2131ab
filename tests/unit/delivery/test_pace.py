"""The pace at which a worker starts requests."""

from __future__ import annotations

import asyncio
import heapq
import math
import os
import subprocess
import sys
import textwrap

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from worker.delivery.lanes.request_pacing import LONGEST_WAIT_SECONDS, Alarm, RequestPacer


def started_in_a_second(lanes: int, share: float) -> int:
    """By so many lanes that always have something to send, at a steady CPU share."""
    clock = 1000.0
    pace = RequestPacer(lambda: clock * share)
    due = [clock] * lanes
    started = []
    while clock < 1005:
        clock = heapq.heappop(due)
        started.append(clock)
        clock += 0.0001
        heapq.heappush(due, max(clock, pace.reserve(clock, clock)))
    return sum(one > 1004 for one in started)


def test_a_worker_at_ease_starts_each_request_at_once() -> None:
    clock = 1000.0
    pace = RequestPacer(lambda: clock * 0.1)
    for _ in range(3000):
        clock += 0.002
        assert pace.reserve(clock, clock) <= clock


def test_a_busy_worker_starts_few_and_one_at_ease_again_starts_many() -> None:
    clock, used = 1000.0, 0.0
    pace = RequestPacer(lambda: used)

    def waits(share: float) -> list[float]:
        nonlocal clock, used
        seen = []
        for _ in range(2000):
            clock += 0.005
            used += 0.005 * share
            seen.append(max(0.0, pace.reserve(clock, clock) - clock))
        return seen

    assert max(waits(0.1)) == 0
    assert (pace.delayed, pace.delayed_seconds) == (0, 0.0)
    busy = waits(0.97)
    assert min(busy[-100:]) > 0
    assert pace.delayed == sum(one > 0 for one in busy)
    assert pace.delayed_seconds == pytest.approx(sum(busy))
    assert max(waits(0.8)[-100:]) == 0, "a fifth of a core is enough to spare"


@pytest.mark.parametrize(("lanes", "expected"), [(1, 100), (5, 100), (50, 500)])
def test_a_busy_worker_keeps_to_a_pace_as_far_as_the_longest_wait_allows(
    lanes: int, expected: int
) -> None:
    assert started_in_a_second(lanes, 0.97) == pytest.approx(expected, rel=0.1)


def test_who_seldom_has_events_waits_for_no_company() -> None:
    """A thousand customers with an event a second each: none has a second one in time."""
    clock = 1000.0
    pace = RequestPacer(lambda: clock * 0.965)
    started = dict.fromkeys(range(1000), -math.inf)
    for turn in range(5000):
        clock += 0.001
        lane = turn % 1000
        start_at = pace.reserve(clock, started[lane])
        assert start_at <= clock
        started[lane] = clock
    often = [pace.reserve(clock, clock - 0.01) for _ in range(30)]
    assert often[-1] > clock, "it is busy, and who has many events waits"


@pytest.mark.parametrize("is_behind", [True, False])
def test_who_seldom_has_events_waits_as_all_do_once_no_core_is_left(*, is_behind: bool) -> None:
    """Even little company is needed then, but only by a worker that falls behind."""
    clock = 1000.0
    pace = RequestPacer(lambda: clock)
    waits = []
    for _ in range(1000):
        clock += 0.001
        waits.append(pace.reserve(clock, -math.inf, is_behind=is_behind) - clock)
    assert (max(waits) > 0) is is_behind


def test_a_start_that_takes_all_of_a_core_does_not_slow_down_what_comes_after() -> None:
    """Few requests in a busy moment say nothing of how many a core can make."""
    clock, used = 1000.0, 0.0
    pace = RequestPacer(lambda: used)
    for passed, share in ((1.0, 0.97), (0.1, 0.5), (0.1, 0.5)):
        pace.reserve(clock, clock)
        clock += passed
        used += passed * share
    waits = []
    for _ in range(200):
        clock += 1 / 400
        used += 0.3 / 400
        waits.append(max(0.0, pace.reserve(clock, clock) - clock))
    assert max(waits) == 0.0


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), min_size=1, max_size=200),
)
def test_nothing_waits_longer_than_the_longest_wait(steps: list[tuple[float, float]]) -> None:
    clock, used = 5.0, 0.0
    pace = RequestPacer(lambda: used)
    for passed, share in steps:
        clock += passed
        used += passed * share
        assert pace.reserve(clock, clock) <= clock + LONGEST_WAIT_SECONDS + 1e-9


def test_a_core_that_others_have_counts_as_needed() -> None:
    """Two loops without end share one core: each has half of it, and needs all."""
    (core, *_) = os.sched_getaffinity(0)
    burn = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    code = textwrap.dedent(
        """
        import os, sys, time
        from worker.delivery.lanes.request_pacing import needed_core
        os.sched_setaffinity(0, {int(sys.argv[1])})
        needed, began = needed_core(), time.monotonic()
        before, used_before = needed(), time.process_time()
        while time.monotonic() < began + 1:
            pass
        print(needed() - before, time.process_time() - used_before)
        """
    )
    others = subprocess.Popen([sys.executable, "-c", burn, str(core)])
    try:
        told = subprocess.run(
            [sys.executable, "-c", code, str(core)], capture_output=True, text=True, check=True
        ).stdout
    finally:
        others.kill()
        others.wait()
    needed, used = map(float, told.split())
    assert used < 0.8
    assert needed == pytest.approx(1, abs=0.15)


def test_an_alarm_of_a_moment_that_has_come_can_be_set_again() -> None:
    """As the worker runs, in uvloop, which gives a handle without a moment for such a one."""

    async def rings() -> list[str]:
        rung: list[str] = []
        done = asyncio.Event()

        def ring() -> None:
            rung.append("once")
            done.set()

        alarm = Alarm(ring)
        now = asyncio.get_running_loop().time()
        for moment in (now, now, now + 60):
            alarm.set(moment)
        await done.wait()
        return rung

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(rings()) == ["once"]


@pytest.mark.parametrize("after_ms", [0.2, 1.2, 2.3, 2.6, 5.49])
def test_an_alarm_rings_once_its_moment_is_there_and_not_before(after_ms: float) -> None:
    """A lane that is woken too early sets it again: with uvloop, which counts whole milliseconds,
    that was a busy loop.
    """

    async def rings() -> int:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        moment, rung = loop.time() + after_ms / 1000, 0

        def ring() -> None:
            nonlocal rung
            rung += 1
            if loop.time() < moment:
                alarm.set(moment)
            else:
                done.set()

        alarm = Alarm(ring)
        alarm.set(moment)
        await done.wait()
        return rung

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert [runner.run(rings()) for _ in range(20)] == [1] * 20
