"""How long an act on dead letters goes on, as its page tells."""

from __future__ import annotations

from worker.broker.letter_filter import Filter
from worker.console.dead_letters.asked import Asked, Meant
from worker.console.dead_letters.letter_act import LetterAct
from worker.letters.letter_act_request import Handling
from worker.letters.letter_key import LetterKeys
from worker.letters.letter_work import LetterWork
from worker.letters.lost_state_guard import LostStateGuard
from worker.ordering.user_digests import UserKeys


def _act(letters: int, rate: float | None = None) -> tuple[LetterAct, LetterWork]:
    asked = Asked("replayed", Meant(), letters).confirmed(rate=rate)
    act = LetterAct("1", asked, "", "operator", 0, LetterKeys(UserKeys(b"k" * 32)))
    act.work = LetterWork(Handling("replayed", Filter()), LostStateGuard.off(), 1_000)
    return act, act.work


def test_the_time_that_canaries_took_is_not_counted_to_all_others() -> None:
    act, work = _act(1_020)
    act.note_broker()
    act.begin_pass("canary", 1_020, 1_000)
    work.tally.handled = 20
    assert act.seconds_left(60_000) is None
    act.begin_pass("rest", 1_000, 601_000)  # ten minutes after twenty canaries
    assert act.seconds_left(601_500) is None, "nobody knows yet"
    work.tally.handled = 120
    assert act.seconds_left(602_000) == 9.0
    act.begin_pass("rest", 900, 602_000)  # in a pass of its own, at the same desk
    work.tally.handled = 520
    assert act.seconds_left(606_000) == 5.0


def test_the_time_for_which_the_broker_was_away_is_not_counted() -> None:
    act, work = _act(100)
    act.note_broker()
    act.begin_pass("rest", 100, 0)
    work.tally.handled = 50
    assert act.seconds_left(5_000) == 5.0
    act.stage = "away"
    assert act.seconds_left(3_000_000) is None
    act.note_broker()
    act.begin_pass("rest", 50, 3_600_000)
    work.tally.handled = 75
    assert act.seconds_left(3_602_500) == 2.5


def test_with_a_rate_it_is_known_at_once() -> None:
    act, _ = _act(100, rate=4.0)
    act.note_broker()
    act.begin_pass("rest", 100, 0)
    assert act.seconds_left(0) == 25.0
