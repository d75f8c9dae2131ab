"""A person is erased while a request of theirs is under way: nothing of it comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ordering.conftest import FORMER, LENA, PRESENT, TIMING, Open, known
from tests.unit.delivery.records import COMPLETED, SNAPSHOTS, Adobe, Worker, choice, snapshot
from worker.adobe.replies import Accepted
from worker.delivery.rounds.round_results import Erased
from worker.integrations.model import Integration
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    ERASED,
    UNCLEAR,
    Claim,
    Granted,
    NewestStore,
    Settlement,
    Timing,
    tombstone,
)
from worker.ordering.user_digests import UserKeys, both_digests

ERASED_MS = 1_000_000
BEFORE, THEN, SINCE = (Stamp(ms, 0, False, "e") for ms in (900_000, ERASED_MS, 1_000_001))
FOUND = Stamp(0, 0, False, "found")
MAY_BE_SET = Stamp(-62_135_596_800_000, 0, True, "")
MARK = Stamp(60_000, 900_000, False, "")
Person = tuple[NewestStore, str]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[None, FORMER], ids=["one secret", "a rotation"])
def person(kind: str, request: pytest.FixtureRequest, open_in: Callable[[str], Open]) -> Person:
    keys = UserKeys(PRESENT, request.param)
    return open_in(kind)(keys), keys.user_key(*LENA)


async def lease_of(store: NewestStore, user: str) -> int:
    (granted,) = await store.begin("shop", [Claim(user, ("news",))])
    assert isinstance(granted, Granted)
    return granted.lease


async def settle_after_erasure(
    person: Person, written: dict[str, Stamp], *, with_texts: bool
) -> tuple[dict[str, Stamp], dict[str, str]]:
    """What is known of a person who was erased before a request of theirs was settled."""
    store, user = person
    texts = {path: f"text of {path}" for path in written} if with_texts else None
    lease = await lease_of(store, user)
    await store.erase("shop", user, ERASED_MS, 2_000)
    late = Settlement(user, lease, written, True, texts, with_texts)
    await store.settle("shop", [late], 0)
    found, said = await known(store, user, *dict.fromkeys((*written, ERASED, UNCLEAR)))
    stamps = dict(found)
    assert stamps.pop(ERASED) == tombstone(ERASED_MS)
    return stamps, {path: text for path, text in said.items() if text}


@pytest.mark.parametrize("with_texts", [False, True], ids=["stamps", "texts"])
async def test_what_was_chosen_before_the_erasure_is_not_written_and_what_was_since_is(
    person: Person, with_texts: bool
) -> None:
    since = {
        "new": SINCE,
        "changed since": Stamp(500, 1_000_001, True, "e"),
        "found": FOUND,
        "may be set": MAY_BE_SET,
    }
    before = {
        "old": BEFORE,
        "at that moment": THEN,
        "changed before": Stamp(500, ERASED_MS, False, "e"),
        "@phone": BEFORE,
        "~": BEFORE,
    }
    stamps, texts = await settle_after_erasure(person, before | since, with_texts=with_texts)
    assert stamps == since
    assert texts == ({path: f"text of {path}" for path in since} if with_texts else {})


async def test_what_was_found_beside_an_erased_choice_is_erased_with_it(person: Person) -> None:
    """It may have been looked up before the erasure."""
    written = {"old": BEFORE, "found": FOUND}
    assert await settle_after_erasure(person, written, with_texts=True) == ({}, {})


async def test_the_mark_of_an_unclear_answer_is_written_all_the_same(person: Person) -> None:
    written = {"old": BEFORE, "may be set": MAY_BE_SET, UNCLEAR: MARK}
    stamps, _ = await settle_after_erasure(person, written, with_texts=False)
    mark = stamps.pop(UNCLEAR)
    assert stamps == {"may be set": MAY_BE_SET}
    assert mark[1:] == MARK[1:]
    assert 0 < mark.time_ms <= MARK.time_ms


@pytest.mark.parametrize("with_texts", [False, True], ids=["stamps", "texts"])
async def test_of_a_thousand_paths_each_has_its_own_end(person: Person, with_texts: bool) -> None:
    """Redis writes them in portions, and knows nothing of most."""
    store, user = person
    known_before = {"p4": Stamp(2_000_000, 0, False, "e")}
    await settle_after_erasure(person, known_before, with_texts=with_texts)
    written = {f"p{number}": SINCE if number % 3 else BEFORE for number in range(1_200)}
    texts = {path: f"text of {path}" for path in written} if with_texts else None
    late = Settlement(user, await lease_of(store, user), written, False, texts, True)
    await store.settle("shop", [late], 0)
    stamps, said = await known(store, user, *written)
    stands = {path for path, stamp in written.items() if stamp == SINCE}
    assert stamps == dict.fromkeys(stands, SINCE) | known_before
    assert {path for path, text in said.items() if text} == (stands if with_texts else set())


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_a_command_with_both_secrets_erases_what_a_worker_with_one_has_under_way(
    kind: str, open_in: Callable[[str], Open]
) -> None:
    former, both = UserKeys(FORMER), UserKeys(FORMER, PRESENT)
    user, called_twice = former.user_key(*LENA), both.user_key(*LENA)
    assert both_digests(called_twice)[0] == user
    worker, command = open_in(kind)(former), open_in(kind)(both)
    lease = await lease_of(worker, user)
    await command.erase("shop", called_twice, ERASED_MS, 2_000)
    late = Settlement(user, lease, {"news": BEFORE}, True, {"news": "what lena chose"}, True)
    await worker.settle("shop", [late], 0)
    stamps, texts = await known(worker, user, "news", ERASED)
    assert (stamps, texts) == ({ERASED: tombstone(ERASED_MS)}, {})


class ErasedMeanwhile(Adobe):
    """The person is erased while it handles a request."""

    def __init__(self, command: SqliteStore, target: Integration) -> None:
        super().__init__()
        self._command = command
        self._target = target
        self.user = ""
        self.erased_ms = 0

    async def send(self, integration: Integration, messages: Sequence[Any]) -> Any:
        if self.erased_ms:
            await self._command.erase(self._target.state_id, self.user, self.erased_ms, 1_000)
        return await super().send(integration, messages)


def names_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT j.key FROM users, json_each(users.stamps) AS j").fetchall()
    return sorted(name for (name,) in rows)


@pytest.mark.parametrize(
    ("target", "say"),
    [
        (COMPLETED, choice),
        (COMPLETED.model_copy(update={"dataset_starts_empty": False}), choice),
        (SNAPSHOTS, snapshot),
    ],
    ids=["events", "looked up", "snapshots"],
)
async def test_in_a_file_a_command_does_not_wait_and_the_worker_writes_nothing_back(
    target: Integration, say: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "state.sqlite"
    command = SqliteStore(path, Timing(), is_worker=False)
    adobe = ErasedMeanwhile(command, target)
    store = SqliteStore(path, TIMING)
    worker = Worker(store, target, secret=PRESENT, adobe=adobe)
    adobe.user = worker.delivery(say(10, news=True)).user
    adobe.erased_ms = worker.delivery(say(20, news=True)).choice.event_time_ms
    adobe.found = {"_acme.offers": True}
    assert await worker.take(say(10, news=False)) == [Accepted("x")]
    assert names_in(path) == [ERASED]
    adobe.erased_ms = 0
    adobe.found = {}
    assert await worker.take(say(15, news=True)) == [Erased()]
    assert await worker.take(say(30, sms=True)) == [Accepted("x")]
    assert adobe.has == {"sms": True}
    await store.close()
    await command.close()
