"""A replay at a pace: who may go when, and how long its letters are held."""

from __future__ import annotations

from typing import Any, cast

from tests.unit.delivery.virtual_time import in_virtual_time, now
from tests.unit.letters.desk_parts import Desk, opened_letter
from worker.broker.letter_filter import Filter
from worker.interrupt import Stop
from worker.letters.letter_act_request import Handling
from worker.letters.letter_work import LetterWork
from worker.letters.lost_state_guard import LostStateGuard
from worker.letters.replay_pace import ReplayPace

MOST_BYTES = 1_000


def _at_a_rate(rate: float) -> LetterWork:
    asked = Handling("replayed", Filter(), rate=rate)
    return LetterWork(asked, LostStateGuard.off(), MOST_BYTES)


@in_virtual_time
async def test_letters_that_stay_take_no_turn_of_others() -> None:
    large = [opened_letter(n, body=bytes(MOST_BYTES + 1)) for n in range(700)]
    desk = Desk(*large, opened_letter(1_000), opened_letter(1_001), clock=now)
    work = _at_a_rate(0.1)
    began_at = now()
    await work.run(cast(Any, desk))
    assert now() - began_at < 11, "one turn is waited for"
    assert (work.tally.matched, work.tally.handled, work.tally.kept_count) == (702, 2, 700)
    assert desk.there == large


@in_virtual_time
async def test_letters_are_given_back_before_a_turn_that_is_longer_than_a_pass() -> None:
    desk = Desk(opened_letter(*range(1_000)), opened_letter(1_000), clock=now)
    work = _at_a_rate(1.0)
    began_at = now()
    await work.run(cast(Any, desk))
    assert (work.tally.handled, desk.there) == (1_001, [])
    held_seconds = [ended - began for began, ended in desk.held]
    assert sum(held_seconds) < 1
    assert now() - began_at >= 1_000, "and the pace is kept"


@in_virtual_time
async def test_a_long_replay_takes_its_letters_anew_every_ten_minutes() -> None:
    desk = Desk(*(opened_letter(n) for n in range(1_500)), clock=now)
    work = _at_a_rate(1.0)
    began_at = now()
    await work.run(cast(Any, desk))
    assert (work.tally.handled, desk.there) == (1_500, [])
    assert len(desk.held) == 3
    assert all(ended - began <= 601 for began, ended in desk.held)
    assert 1_499 <= now() - began_at < 1_501


@in_virtual_time
async def test_who_stops_does_not_wait_for_the_next_pass() -> None:
    pace, stop = ReplayPace(0.01), Stop()
    await pace.begin_pass(stop)
    assert await pace.turn(10, stop)
    began_at = now()
    stop.ask(2)
    await pace.begin_pass(stop)
    assert now() == began_at
    assert not await pace.turn(1, stop)
