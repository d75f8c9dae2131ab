"""A discard counts what the broker has heard of, and holds few bodies meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from tests.unit.letters.desk_parts import Desk, opened_letter
from tests.unit.letters.test_named_letters import KEYS, Record, act_at, lives
from worker.broker.act_writer import TrailAway
from worker.broker.letter_filter import Filter
from worker.evidence.act import MOST_LIVES
from worker.letters.letter_act_request import Handling
from worker.letters.letter_events import OpenedLetter
from worker.letters.letter_work import LetterWork, Watching
from worker.letters.lost_state_guard import LostStateGuard
from worker.letters.named_letters import NamedLetters

DISCARD = Handling("discarded", Filter())
LARGE = bytes(9 * 1024 * 1024)


def _work(asked: Handling, watching: Watching) -> LetterWork:
    return LetterWork(asked, LostStateGuard.off(), 1_000, watching)


def _on_record(record: Record) -> tuple[LetterWork, NamedLetters]:
    named = NamedLetters(KEYS, act_at, record.write)
    watching = Watching(handled=named.note_gone, go_next=named.go_next, kept=named.note_kept)
    return _work(DISCARD, watching), named


async def _run(work: LetterWork, desk: Desk) -> None:
    await work.run(cast(Any, desk))


async def test_what_the_broker_may_not_have_heard_of_is_in_doubt_and_is_taken_again() -> None:
    record = Record()
    work, named = _on_record(record)
    desk = Desk(opened_letter(1), opened_letter(2, 3))
    desk.is_cut = True
    with pytest.raises(ConnectionResetError):
        await _run(work, desk)
    assert (work.tally.handled, named.parts()) == (0, []), "none is told to be gone"
    ((going,),) = record.messages
    assert (list(going.lives), going.counts) == (lives(1, 2, 3), {"discarded": 0, "going": 3})
    desk.is_cut = False
    await _run(work, desk)
    assert (work.tally.matched, work.tally.handled, desk.there) == (3, 3, [])
    assert record.messages[1][0].counts == {"discarded": 0, "going": 3}, "named again, in no doubt"
    (part,) = named.parts()
    assert list(part.lives) == lives(1, 2, 3)


async def test_without_a_record_nothing_counts_either_that_the_broker_may_not_have() -> None:
    gone: list[OpenedLetter] = []
    work = _work(DISCARD, Watching(handled=gone.append))
    desk = Desk(*map(opened_letter, range(MOST_LIVES + 1)))
    desk.is_cut = True
    with pytest.raises(ConnectionResetError):
        await _run(work, desk)
    assert (work.tally.handled, gone) == (0, [])
    desk.is_cut = False
    await _run(work, desk)
    assert (work.tally.handled, len(gone), desk.there) == (MOST_LIVES + 1, MOST_LIVES + 1, [])


@pytest.mark.parametrize("is_named", [True, False])
async def test_what_is_in_hand_when_somebody_stops_counts(is_named: bool) -> None:
    gone: list[OpenedLetter] = []
    most = MOST_LIVES if is_named else 3
    letters = [opened_letter(n) for n in range(most + 5)]
    desk = Desk(*letters)

    def is_kept(opened: OpenedLetter) -> None:
        desk.stop.ask(2)

    async def go_next(named: Sequence[OpenedLetter]) -> None:
        pass

    watching = Watching(handled=gone.append, go_next=go_next if is_named else None, kept=is_kept)
    desk.stuck = letters[most - 1 : most]  # which is told, and so somebody asks to stop
    work = _work(DISCARD, watching)
    await _run(work, desk)
    assert work.tally.handled == len(gone) == len(letters) - len(desk.there)
    assert work.tally.handled >= most - 1
    assert work.tally.kept_count == 1
    assert letters[-1] in desk.there


async def test_where_the_record_is_away_all_that_is_gone_has_been_counted() -> None:
    record = Record()
    named = NamedLetters(KEYS, act_at, record.write)
    desk = Desk(*map(opened_letter, range(MOST_LIVES + 2)))

    def note_gone(opened: OpenedLetter) -> None:
        record.is_away = True
        named.note_gone(opened)

    watching = Watching(handled=note_gone, go_next=named.go_next, kept=named.note_kept)
    work = _work(DISCARD, watching)
    with pytest.raises(TrailAway):
        await _run(work, desk)
    assert (work.tally.handled, len(desk.there)) == (MOST_LIVES, 2)
    assert [len(one.lives) for one in named.parts()] == [MOST_LIVES]


async def test_few_bodies_wait_to_be_named() -> None:
    together: list[int] = []

    async def go_next(named: Sequence[OpenedLetter]) -> None:
        together.append(len(named))

    desk = Desk(*(opened_letter(n, body=LARGE) for n in range(5)))
    work = _work(DISCARD, Watching(go_next=go_next))
    await _run(work, desk)
    assert (together, work.tally.handled) == ([2, 2, 1], 5)


async def test_few_bodies_wait_to_count() -> None:
    gone: list[int] = []
    letters = [opened_letter(n, body=LARGE) for n in range(150)]
    desk = Desk(*letters)

    def handled(opened: OpenedLetter) -> None:
        gone.append(len(desk.there))

    await _run(_work(DISCARD, Watching(handled=handled)), desk)
    assert len(gone) == len(letters)
    assert max(gone) > 0, "some have counted before all were taken"
