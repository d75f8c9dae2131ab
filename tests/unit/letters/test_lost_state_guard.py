"""Which dead letters are of a lost state, by the epochs of a store in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from tests.unit.ledger.test_known_letters import letter
from tests.unit.letters.desk_parts import Desk, opened_letter
from worker.broker.letter_filter import Filter
from worker.letters.letter_act_request import Handling
from worker.letters.letter_events import OpenedLetter
from worker.letters.letter_work import LetterWork, Watching
from worker.letters.lost_state_guard import LostStateGuard
from worker.ordering.epoch import Epochs
from worker.settings import WorkerSettings
from worker.store_choice import lasting_store

ANOTHER = "0" * 16


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(state_url=SecretStr(f"sqlite://{tmp_path}/state"))


async def _worker_looks(settings: WorkerSettings, *met: str) -> Epochs:
    """A worker has `met` messages of these epochs."""
    store = lasting_store(settings, None)
    assert store is not None
    try:
        return await store.epochs.look(met)
    finally:
        await store.close()


def _lose(settings: WorkerSettings) -> None:
    directory = Path(settings.state_url.get_secret_value().removeprefix("sqlite://")).parent
    for one in directory.iterdir():
        one.unlink()


def _of(epoch: str, number: int) -> OpenedLetter:
    opened = opened_letter(number)
    (event,) = opened.chosen
    return replace(opened, chosen=[replace(event, letter=letter(number, epoch=epoch))])


@pytest.mark.parametrize(
    ("is_lost", "died_after_ms", "is_held"),
    [(True, -1, True), (True, 0, False), (True, None, False), (False, -1, False)],
)
async def test_a_letter_without_an_epoch_is_held_back_if_it_died_before_a_state_that_was_lost_began(
    settings: WorkerSettings, is_lost: bool, died_after_ms: int | None, is_held: bool
) -> None:
    epochs = await _worker_looks(settings, *[ANOTHER] * is_lost)
    died = None if died_after_ms is None else epochs.began_ms + died_after_ms
    made_by_rabbitmq = letter(1, dead_at_ms=died)
    guard = await LostStateGuard.of(settings, is_off=False)
    assert guard.holds_back(made_by_rabbitmq) is is_held
    assert guard.held_back == is_held
    assert not (await LostStateGuard.of(settings, is_off=True)).holds_back(made_by_rabbitmq)


async def test_a_state_that_is_lost_during_a_replay_holds_back_the_letters_of_its_next_pass(
    settings: WorkerSettings,
) -> None:
    before = await _worker_looks(settings)
    desk = Desk(*(_of(before.present, number) for number in range(3)))

    async def is_clear() -> bool:
        _lose(settings)
        await _worker_looks(settings)
        return True

    asked = Handling("replayed", Filter(), canaries=1, wait_seconds=60)
    guard = await LostStateGuard.of(settings, is_off=False)
    work = LetterWork(asked, guard, 1_000, Watching(is_clear=is_clear))
    await work.run(cast(Any, desk))
    assert (work.tally.handled, guard.held_back, len(desk.there)) == (1, 2, 2)
