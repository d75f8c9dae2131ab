"""The pause of an integration whose set-up is at fault."""

from __future__ import annotations

import pytest

from worker.delivery.outcome import Failure
from worker.delivery.pause import SetupPause

REFUSED = Failure("token-refused", "the client secret is wrong")


@pytest.fixture
def pause() -> SetupPause:
    return SetupPause(probe_seconds=15, probe_timeout_seconds=35)


def probe(pause: SetupPause, now: float) -> None:
    assert pause.take_probe(now)
    assert not pause.failed(REFUSED, now)


def test_it_begins_with_the_first_failure_and_says_so_once(pause: SetupPause) -> None:
    assert not pause.is_on
    assert pause.failed(REFUSED, 100)
    assert pause.is_on
    assert pause.failure == REFUSED
    assert not pause.failed(Failure("adobe-refused", "a newer one"), 101)
    assert pause.failure == Failure("adobe-refused", "a newer one")


def test_one_probe_at_a_time_is_let_through(pause: SetupPause) -> None:
    pause.failed(REFUSED, 100)
    assert not pause.take_probe(114.9)
    assert pause.take_probe(115)
    assert not pause.take_probe(115)
    assert not pause.take_probe(149.9)


def test_a_probe_that_tells_nothing_is_over_after_a_while(pause: SetupPause) -> None:
    pause.failed(REFUSED, 100)
    assert pause.take_probe(115)
    assert pause.take_probe(150)


def test_a_probe_that_had_nothing_to_send_leaves_the_next_to_go_at_once(pause: SetupPause) -> None:
    pause.failed(REFUSED, 100)
    assert pause.take_probe(115)
    pause.told_nothing(116)
    assert pause.parking_delay(0, 116, 0) == pytest.approx(0.1)
    assert pause.take_probe(116.1)


def test_what_had_nothing_to_send_and_is_no_probe_brings_none_forward(pause: SetupPause) -> None:
    pause.failed(REFUSED, 100)
    pause.told_nothing(101)
    assert not pause.take_probe(114.9)


def test_only_a_probe_lengthens_the_pause(pause: SetupPause) -> None:
    pause.failed(REFUSED, 100)
    for _ in range(20):
        pause.failed(REFUSED, 110)  # sent before the pause
    assert pause.take_probe(115)


def test_probes_that_fail_come_ever_later_up_to_eight_times_as_late(pause: SetupPause) -> None:
    pause.failed(REFUSED, 0)
    now, gaps = 0.0, []
    for gap in (15, 30, 60, 120, 120, 120):
        assert not pause.take_probe(now + gap - 0.1)
        now += gap
        probe(pause, now)
        gaps.append(gap)
    assert gaps[-1] == 8 * 15


def test_what_fails_after_a_failed_probe_does_not_count_again(pause: SetupPause) -> None:
    pause.failed(REFUSED, 0)
    probe(pause, 15)
    pause.failed(REFUSED, 16)
    assert pause.take_probe(15 + 30)


def test_the_end_says_whether_there_was_a_pause_and_forgets_how_long_it_was(
    pause: SetupPause,
) -> None:
    assert not pause.end()
    pause.failed(REFUSED, 0)
    probe(pause, 15)
    assert pause.end()
    assert not pause.is_on
    assert pause.failure is None
    assert pause.failed(REFUSED, 100)
    assert pause.take_probe(115)


def test_a_failure_after_the_end_is_not_taken_for_the_probe(pause: SetupPause) -> None:
    pause.failed(REFUSED, 0)
    assert pause.take_probe(15)
    pause.end()
    assert pause.failed(REFUSED, 20)
    pause.failed(REFUSED, 30)
    assert pause.take_probe(35)


def test_the_first_that_is_parked_is_the_scout_and_comes_back_for_the_probe(
    pause: SetupPause,
) -> None:
    pause.failed(REFUSED, 100)
    delay = pause.parking_delay(parks=0, now=105, jitter=0)
    assert delay == pytest.approx(10.1)
    assert pause.take_probe(105 + delay)


def test_the_others_come_back_after_the_probe_and_ever_more_rarely(pause: SetupPause) -> None:
    pause.failed(REFUSED, 100)
    pause.parking_delay(0, 100, 0)
    delays = [pause.parking_delay(parks, 100, 0) for parks in (0, 1, 2, 3, 4, 10_000)]
    assert delays == pytest.approx([15.1 + 15 * factor for factor in (1, 2, 4, 8, 8, 8)])


def test_their_delays_are_spread_by_half(pause: SetupPause) -> None:
    pause.failed(REFUSED, 100)
    pause.parking_delay(0, 100, 0)
    delays = [pause.parking_delay(0, 100, jitter) for jitter in (-1, 1)]
    assert delays == pytest.approx([15.1 + 7.5, 15.1 + 22.5])


def test_each_probe_has_a_scout_of_its_own(pause: SetupPause) -> None:
    pause.failed(REFUSED, 0)
    pause.parking_delay(0, 0, 0)
    probe(pause, 15)
    assert pause.parking_delay(1, 15, 0) == pytest.approx(30.1)
    assert pause.parking_delay(1, 15, 0) == pytest.approx(30.1 + 30)


def test_while_a_probe_is_out_the_scout_waits_until_it_is_over(pause: SetupPause) -> None:
    pause.failed(REFUSED, 0)
    pause.take_probe(15)
    assert pause.parking_delay(0, 15, 0) == pytest.approx(35.1)


def test_a_scout_that_is_late_is_not_parked_for_less_than_a_moment(pause: SetupPause) -> None:
    pause.failed(REFUSED, 0)
    assert pause.parking_delay(0, 1000, 0) == pytest.approx(0.1)
