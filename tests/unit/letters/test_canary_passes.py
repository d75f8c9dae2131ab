"""The passes of a replay with canaries, and what it holds meanwhile."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.unit.letters.desk_parts import Desk, opened_letter
from worker.broker.letter_filter import Filter
from worker.letters.canary import CanaryVerdict
from worker.letters.letter_act_request import Handling
from worker.letters.letter_work import LetterWork, Watching
from worker.letters.lost_state_guard import LostStateGuard

LARGE = bytes(9 * 1024 * 1024)


def _with_canaries(count: int, watching: Watching) -> LetterWork:
    asked = Handling("replayed", Filter(), canaries=count, wait_seconds=60)
    return LetterWork(asked, LostStateGuard.off(), len(LARGE), watching)


async def _is_clear() -> bool:
    return True


async def test_few_bodies_are_held_as_canaries() -> None:
    desk = Desk(*(opened_letter(n, body=LARGE) for n in range(5)))
    work = _with_canaries(5, Watching(is_clear=_is_clear))
    await work.run(cast(Any, desk))
    assert work.tally.verdict is not None
    assert work.tally.verdict.sent == 2
    assert (work.tally.handled, desk.there) == (5, []), "the others follow"


async def test_after_a_wait_that_was_lost_no_letter_is_left_out() -> None:
    desk = Desk(*map(opened_letter, range(5)))
    work = _with_canaries(1, Watching(is_clear=_is_clear))
    desk.is_cut = True
    with pytest.raises(ConnectionResetError):
        await work.run(cast(Any, desk))
    assert work.tally.verdict is None
    desk.is_cut = False
    await work.run(cast(Any, desk))
    assert desk.there == []
    assert work.tally.handled == 6, "the lost one was confirmed, and is there twice"


async def test_a_letter_that_cannot_be_replayed_is_no_canary_and_stops_no_others() -> None:
    too_large = opened_letter(0, body=bytes(len(LARGE) + 1))
    desk = Desk(too_large, *map(opened_letter, range(1, 6)))
    work = _with_canaries(2, Watching(is_clear=_is_clear))
    await work.run(cast(Any, desk))
    assert work.tally.verdict == CanaryVerdict(2, 0, "")
    assert (work.tally.handled, desk.there) == (5, [too_large])
    ((named, reason),) = work.tally.kept
    assert named == too_large.chosen[0].letter.id
    assert "its body has 9437185 bytes" in reason
