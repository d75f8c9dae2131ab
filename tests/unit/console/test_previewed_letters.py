"""Which letters an act may take: those that its preview has counted, and each once."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from tests.unit.ledger.test_known_letters import letter
from worker.console.dead_letters.listed_letter import listed
from worker.console.dead_letters.previewed_letters import LettersLeft
from worker.letters.letter_events import LetterEvent, OpenedLetter
from worker.letters.letter_key import LetterKeys
from worker.ordering.user_digests import UserKeys

KEYS = LetterKeys(UserKeys(b"k" * 32))


def _event(number: int, event: int | None = None, **said: Any) -> LetterEvent:
    body = b'{"id": "ev-%d"}' % (number if event is None else event)
    return LetterEvent(letter(number, **said), {}, body)


def _left(*events: LetterEvent) -> LettersLeft:
    return LettersLeft(Counter(listed(one, KEYS).name for one in events), KEYS)


def _settle(left: LettersLeft, *events: LetterEvent) -> None:
    left.settle(OpenedLetter(cast(Any, None), events))


def test_no_other_letter_is_taken_however_alike() -> None:
    left = _left(_event(1), _event(2))
    assert left.claim(_event(1))
    for other in (
        _event(3),
        _event(3, event=2),  # the same event, dead again
        _event(2, event=3),  # another event under the id of a letter
        _event(2, integration="press"),
        _event(2, replays=1),
    ):
        assert not left.claim(other), other


def test_a_letter_is_claimed_as_often_as_it_was_counted_in_each_pass() -> None:
    left = _left(_event(1), _event(1), _event(2))
    for _ in range(2):
        left.begin_pass()
        assert [left.claim(_event(n)) for n in (1, 2, 1, 1)] == [True, True, True, False]
    _settle(left, _event(1), _event(2))
    left.begin_pass()
    assert [left.claim(_event(n)) for n in (1, 2, 1)] == [True, False, False]


def test_what_is_handled_while_a_pass_goes_on_makes_no_room_in_it() -> None:
    left = _left(_event(1))
    assert left.claim(_event(1))
    _settle(left, _event(1))
    assert not left.claim(_event(1))


def test_some_may_go_first() -> None:
    left = _left(_event(1), _event(2))
    first = frozenset({KEYS.key_of(_event(2))})
    assert [left.claim(_event(n), first) for n in (1, 2)] == [False, True]
    _settle(left, _event(2))
    left.begin_pass()
    assert [left.claim(_event(n)) for n in (1, 2)] == [True, False]
