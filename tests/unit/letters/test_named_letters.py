"""A discard names its letters before they go, and what was named is not lost when it can't be
written.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.unit.letters.desk_parts import Desk, opened_letter
from worker.broker.act_writer import TrailAway
from worker.broker.letter_filter import Filter
from worker.evidence.act import MOST_LIVES, Act, ActStage
from worker.letters.letter_act_request import Handling, words_of_work
from worker.letters.letter_key import LetterKeys
from worker.letters.letter_work import LetterWork, Watching
from worker.letters.lost_state_guard import LostStateGuard
from worker.letters.named_letters import NamedLetters
from worker.ordering.user_digests import UserKeys

KEYS = LetterKeys(UserKeys(b"k" * 32))


class Record:
    """What was put on record, a message each time; nothing while it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.messages: list[tuple[Act, ...]] = []

    async def write(self, *acts: Act) -> None:
        if self.is_away:
            raise TrailAway("the trail can't be written")
        self.messages.append(acts)


def lives(*numbers: int) -> list[str]:
    return [KEYS.key_of(one).hex() for one in opened_letter(*numbers).chosen]


def act_at(stage: ActStage) -> Act:
    return Act("0" * 16, "discarded", stage, "dora", "command", 1)


async def test_what_goes_next_is_named_with_what_is_gone_since() -> None:
    record = Record()
    named = NamedLetters(KEYS, act_at, record.write)
    first, second = opened_letter(1), opened_letter(2, 3)
    await named.go_next([first, second])
    named.note_gone(second)
    await named.go_next([opened_letter(4)])
    ((going,), (part, next_going)) = record.messages
    assert (going.stage, list(going.lives)) == ("going", lives(1, 2, 3))
    assert going.counts == {"discarded": 0, "going": 3}
    assert (part.stage, list(part.lives)) == ("part", lives(2, 3))
    assert (next_going.stage, list(next_going.lives)) == ("going", lives(4))
    assert next_going.counts == {"discarded": 2, "going": 2}, "the first is in doubt still"
    assert named.parts() == [], "each is told once"


async def test_what_could_not_be_discarded_is_in_doubt_no_more() -> None:
    record = Record()
    named = NamedLetters(KEYS, act_at, record.write)
    first, second = opened_letter(1), opened_letter(2, 3)
    await named.go_next([first, second])
    named.note_kept(second)
    named.note_gone(first)
    await named.go_next([opened_letter(4)])
    part, going = record.messages[-1]
    assert list(part.lives) == lives(1)
    assert going.counts == {"discarded": 1, "going": 1}


async def test_a_discard_tells_of_each_letter_that_stays() -> None:
    record = Record()
    named = NamedLetters(KEYS, act_at, record.write)
    watching = Watching(handled=named.note_gone, go_next=named.go_next, kept=named.note_kept)
    work = LetterWork(Handling("discarded", Filter()), LostStateGuard.off(), 1_000, watching)
    stuck = opened_letter(1)
    desk = Desk(stuck, opened_letter(2))
    desk.stuck.append(stuck)
    await work.run(cast(Any, desk))
    assert (work.tally.handled, work.tally.kept_count) == (1, 1)
    await named.go_next([opened_letter(3)])
    assert record.messages[-1][-1].counts == {"discarded": 1, "going": 1}


async def test_what_could_not_be_written_is_named_again() -> None:
    record = Record()
    named = NamedLetters(KEYS, act_at, record.write)
    await named.go_next([opened_letter(1)])
    named.note_gone(opened_letter(1))
    record.is_away = True
    with pytest.raises(TrailAway):
        await named.go_next([opened_letter(2)])
    assert [list(one.lives) for one in named.parts()] == [lives(1)]
    record.is_away = False
    await named.go_next([opened_letter(2)])
    part, going = record.messages[-1]
    assert (list(part.lives), list(going.lives)) == (lives(1), lives(2))
    assert going.counts == {"discarded": 1, "going": 1}


async def test_a_row_has_as_many_as_fit() -> None:
    record = Record()
    named = NamedLetters(KEYS, act_at, record.write)
    await named.go_next([opened_letter(*range(MOST_LIVES + 1))])
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
