"""Canaries of an act, and when they let the others follow."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.unit.ledger.test_known_letters import letter
from worker.broker.dead_letter import fingerprint_of
from worker.broker.letter_filter import Filter
from worker.console.dead_letters.act_record import told_act
from worker.console.dead_letters.asked import Asked, Meant
from worker.console.dead_letters.letter_act import Fates, LetterAct
from worker.console.dead_letters.listed_letter import (
    ListedLetter,
    canaries_among,
    inventory_of,
)
from worker.evidence.receipt import OutcomeName
from worker.ledger.replay_prospects import LetterLife, LifeOutcome, Prospect
from worker.letters.canary import CanaryVerdict
from worker.letters.letter_act_request import Handling
from worker.letters.letter_key import LetterKeys
from worker.letters.letter_work import LetterWork
from worker.letters.lost_state_guard import LostStateGuard
from worker.ordering.user_digests import UserKeys

A, B = b"a" * 16, b"b" * 16
KEYS = LetterKeys(UserKeys(b"k" * 32))


def _life(choice: str, prospect: Prospect) -> LetterLife:
    return LetterLife("dead", "withdrawn" if choice == "withdrawn" else "given", None, prospect)


def test_canaries_are_letters_that_adobe_is_likely_to_get() -> None:
    lives = {
        b"skipped": _life("withdrawn", "superseded"),
        b"given": _life("given", "sent"),
        b"withdrawn": _life("withdrawn", "sent"),
        b"unknown": _life("withdrawn", "unknown"),
        b"again": _life("given", "duplicate"),
    }
    group = fingerprint_of(letter()).group
    letters = [ListedLetter(letter(n), group, "e", key) for n, key in enumerate(lives)]
    keys = canaries_among(inventory_of(0, 5, letters, lives), letters)
    assert keys == [b"withdrawn", b"given", b"unknown"]
    asked = Asked("replayed", Meant(), 5, canaries=2, canary_keys=keys)
    assert asked.chosen_canaries == {b"withdrawn", b"given"}
    assert not asked.without_canaries().chosen_canaries


@pytest.mark.parametrize(
    ("outcomes", "are_clear"),
    [
        ({A: "delivered", B: "delivered"}, True),
        ({A: "delivered", B: "skipped"}, True),
        ({A: "skipped", B: "skipped"}, False),
        ({A: "delivered", B: "dead"}, False),
        ({A: "delivered"}, False),
    ],
)
def test_a_skip_is_no_proof(outcomes: Mapping[bytes, OutcomeName], are_clear: bool) -> None:
    fates = Fates(open={A, B})
    fates.learn({key: LifeOutcome(one) for key, one in outcomes.items()})
    assert fates.are_clear is are_clear


def test_the_trail_says_how_many_died_again() -> None:
    act = LetterAct("1", Asked("replayed", Meant(), 2), "", "operator", 0, KEYS, stage="done")
    act.fates.open |= {A, B}
    assert told_act(act, "ended", 1).result == "done"
    act.fates.learn({A: LifeOutcome("delivered"), B: LifeOutcome("dead")})
    told = told_act(act, "ended", 1)
    assert told.result == "done; 1 died again"
    assert (told.counts["dead"], told.counts["delivered"]) == (1, 1)


def test_who_has_a_bad_verdict_goes_on_with_nothing_though_the_work_has_not_ended() -> None:
    act = LetterAct("1", Asked("replayed", Meant(), 2), "", "operator", 0, KEYS)
    act.work = LetterWork(Handling("replayed", Filter()), LostStateGuard.off(), 1_000)
    assert not act.must_end
    act.work.tally.verdict = CanaryVerdict(1, 0, "")
    assert not act.must_end
    act.work.tally.verdict = CanaryVerdict(1, 1, "1 came back")
    assert act.must_end, "the line may be lost behind it, and the work be begun again"
    act.finish_work()
    assert act.must_end
