"""A discard names its letters before they go, and what was named is not lost when it can't be
written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.unit.ledger.test_known_letters import letter
from worker.broker.act_writer import TrailAway
from worker.broker.letter_filter import Filter
from worker.evidence.act import MOST_LIVES, Act, ActStage
from worker.interrupt import Stop
from worker.letters.letter_act_request import Handling, words_of_work
from worker.letters.letter_events import LetterEvent, OpenedLetter
from worker.letters.letter_key import LetterKeys
from worker.letters.letter_work import LetterWork, Watching
from worker.letters.lost_state_guard import LostStateGuard
from worker.letters.named_letters import NamedLetters
from worker.ordering.user_digests import UserKeys

KEYS = LetterKeys(UserKeys(b"k" * 32))
_STUCK_AND_FREE = ((1, "stuck"), (2, "free"))


class Record:
    """What was put on record, a message each time; nothing while it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.messages: list[tuple[Act, ...]] = []

    async def write(self, *acts: Act) -> None:
        if self.is_away:
            raise TrailAway("the trail can't be written")
        self.messages.append(acts)


def _opened(*numbers: int) -> OpenedLetter:
    """A letter with these events."""
    events = [LetterEvent(letter(n), {}, b'{"id": "ev-%d"}' % n) for n in numbers]
    return OpenedLetter(cast(Any, None), events)


def _lives(*numbers: int) -> list[str]:
    return [KEYS.key_of(one).hex() for one in _opened(*numbers).chosen]


def _act(stage: ActStage) -> Act:
    return Act("0" * 16, "discarded", stage, "dora", "command", 1)


async def test_what_goes_next_is_named_with_what_is_gone_since() -> None:
    record = Record()
    named = NamedLetters(KEYS, _act, record.write)
    first, second = _opened(1), _opened(2, 3)
    await named.go_next([first, second])
    named.note_gone(second)
    await named.go_next([_opened(4)])
    ((going,), (part, next_going)) = record.messages
    assert (going.stage, list(going.lives)) == ("going", _lives(1, 2, 3))
    assert going.counts == {"discarded": 0, "going": 3}
    assert (part.stage, list(part.lives)) == ("part", _lives(2, 3))
    assert (next_going.stage, list(next_going.lives)) == ("going", _lives(4))
    assert next_going.counts == {"discarded": 2, "going": 2}, "the first is in doubt still"
    assert named.parts() == [], "each is told once"


async def test_what_could_not_be_discarded_is_in_doubt_no_more() -> None:
    record = Record()
    named = NamedLetters(KEYS, _act, record.write)
    first, second = _opened(1), _opened(2, 3)
    await named.go_next([first, second])
    named.note_kept(second)
    named.note_gone(first)
    await named.go_next([_opened(4)])
    part, going = record.messages[-1]
    assert list(part.lives) == _lives(1)
    assert going.counts == {"discarded": 1, "going": 1}


class StuckLetters:
    """Letters of which those called `stuck` can't be taken off."""

    async def discard(self, message: str) -> None:
        if message == "stuck":
            raise ValueError("a letter that nobody can open")


class OneDesk:
    """Has these letters, in one pass."""

    def __init__(self, *opened: OpenedLetter) -> None:
        self._opened = opened
        self.letters = StuckLetters()
        self.stop = Stop()
        self.total = len(opened)

    @asynccontextmanager
    async def one_pass(self, verb: str, most: int | None = None) -> AsyncIterator[OneDesk]:
        yield self

    async def matching(self, *_: object) -> AsyncIterator[OpenedLetter]:
        for one in self._opened:
            yield one


async def test_a_discard_tells_of_each_letter_that_stays() -> None:
    record = Record()
    named = NamedLetters(KEYS, _act, record.write)
    watching = Watching(handled=named.note_gone, go_next=named.go_next, kept=named.note_kept)
    work = LetterWork(Handling("discarded", Filter()), LostStateGuard.off(), 1_000, watching)
    stuck, free = (replace(_opened(n), message=cast(Any, name)) for n, name in _STUCK_AND_FREE)
    await work.run(cast(Any, OneDesk(stuck, free)))
    assert (work.tally.handled, work.tally.kept_count) == (1, 1)
    await named.go_next([_opened(3)])
    assert record.messages[-1][-1].counts == {"discarded": 1, "going": 1}


async def test_what_could_not_be_written_is_named_again() -> None:
    record = Record()
    named = NamedLetters(KEYS, _act, record.write)
    await named.go_next([_opened(1)])
    named.note_gone(_opened(1))
    record.is_away = True
    with pytest.raises(TrailAway):
        await named.go_next([_opened(2)])
    assert [list(one.lives) for one in named.parts()] == [_lives(1)]
    record.is_away = False
    await named.go_next([_opened(2)])
    part, going = record.messages[-1]
    assert (list(part.lives), list(going.lives)) == (_lives(1), _lives(2))
    assert going.counts == {"discarded": 1, "going": 1}


async def test_a_row_has_as_many_as_fit() -> None:
    record = Record()
    named = NamedLetters(KEYS, _act, record.write)
    await named.go_next([_opened(*range(MOST_LIVES + 1))])
    assert [len(one.lives) for one in record.messages[0]] == [MOST_LIVES, 1]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Handling("discarded", Filter()), "all dead letters"),
        (
            Handling("discarded", Filter(event="device-of-anna", since_ms=0, error="timeout")),
            "letters of one event, error timeout, dead since 1970-01-01T00:00:00+00:00",
        ),
        (
            Handling("replayed", Filter(group="3f9a01c2"), canaries=5),
            "group 3f9a01c2, also those of before the state was lost, 5 as canaries",
        ),
        (
            Handling("replayed", Filter(id="letter-1", until_ms=1), after_state_loss=False),
            "letter letter-1, dead until 1970-01-01T00:00:00+00:00",
        ),
        (
            Handling("discarded", Filter(id="nameless-0123456789abcdef", integration="shop")),
            "letter nameless-0123456789abcdef, integration shop",
        ),
    ],
)
def test_what_is_asked_for_is_told_in_words(asked: Handling, words: str) -> None:
    assert words_of_work(asked) == words


@pytest.mark.parametrize("typed", ["lena@a.example", "Lena Meier", "+49 170 5550161", "x" * 200])
def test_what_was_typed_by_mistake_is_told_in_no_words(typed: str) -> None:
    chosen = Filter(id=typed, ids=frozenset({typed}), integration=typed)
    said = words_of_work(Handling("discarded", chosen))
    assert said == "a letter, a letter, an integration"


def test_a_name_is_no_letters_id() -> None:
    said = words_of_work(Handling("discarded", Filter(id="lena.meier")))
    assert said == "a letter"
