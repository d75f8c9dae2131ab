"""Who is not known to the state is looked up before a whole record replaces theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tests.unit.delivery.keeper import Keeper
from tests.unit.delivery.records import SNAPSHOTS, Adobe, Worker, choice, completed, snapshot
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.delivery.rounds.round_results import NoChoices, Untried
from worker.integrations.model import Integration
from worker.ordering.epoch import EpochKeeper
from worker.ordering.memory_store import MemoryStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim, Contended, Granted, Settlement, Timing
from worker.reasons import ErrorCode

OK = Accepted("x")
REFUSED = Retryable(ErrorCode.LOOKUP_REFUSED, "HTTP 403", 403)
NEWS, OFFERS = "_acme.news", "_acme.offers"
LOOKED_UP = completed().model_copy(update={"dataset_starts_empty": False})


class Lost(MemoryStore):
    """One whose data were lost, which no operator has accepted yet."""

    def __init__(self) -> None:
        super().__init__(Timing())
        self.keeper = Keeper()
        self.epochs: EpochKeeper | None = self.keeper


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Timing())


@pytest.fixture
def worker(store: MemoryStore) -> Worker:
    return Worker(store, LOOKED_UP)


async def test_what_adobe_has_goes_along_with_the_first_message_and_all_later_ones(
    worker: Worker,
) -> None:
    worker.adobe.found = {NEWS: True, OFFERS: True}
    assert await worker.take(choice(10, offers=False)) == [OK]
    assert worker.adobe.has == {"news": True, "offers": False}
    await worker.take(choice(20, sms=True))
    assert worker.adobe.has == {"news": True, "offers": False, "sms": True}
    assert worker.adobe.looked_up == 1


async def test_any_event_is_newer_than_what_was_found(worker: Worker) -> None:
    worker.adobe.found = {NEWS: True}
    await worker.take(choice(20, offers=True))
    await worker.take(choice(10, news=False))
    assert worker.adobe.has == {"news": False, "offers": True}


async def test_nothing_is_sent_where_it_is_refused(worker: Worker) -> None:
    worker.adobe.found = REFUSED
    assert await worker.take(choice(10, news=True)) == [REFUSED]
    assert worker.adobe.records == []


async def test_what_was_found_is_looked_up_again_until_a_message_has_carried_it(
    worker: Worker,
) -> None:
    worker.adobe.found = {NEWS: True}
    worker.adobe.replies = [Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)]
    await worker.take(choice(10, offers=True))
    worker.adobe.found = {NEWS: False}
    await worker.take(choice(10, offers=True))
    assert worker.adobe.has == {"news": False, "offers": True}
    assert worker.adobe.looked_up == 2


async def test_what_was_found_goes_along_with_each_event_of_a_message_that_is_taken_apart(
    worker: Worker,
) -> None:
    worker.adobe.found = {NEWS: True}
    worker.adobe.replies = [Permanent(ErrorCode.ADOBE_REJECTED, "no", 400)]
    results = await worker.take(choice(10, offers=True), choice(20, sms=True))
    assert results == [Untried(), OK]
    assert worker.adobe.records == [{"news": True, "sms": True}]
    await worker.take(choice(10, offers=True))
    assert worker.adobe.records[-1] == {"news": True, "offers": True, "sms": True}
    await worker.take(choice(30, sms=False))
    assert worker.adobe.has == {"news": True, "offers": True, "sms": False}
    assert worker.adobe.looked_up == 1


async def test_who_has_nothing_at_adobe_is_known_after_the_first_message(worker: Worker) -> None:
    await worker.take(choice(10, news=True))
    await worker.take(choice(20, offers=True))
    assert worker.adobe.has == {"news": True, "offers": True}
    assert worker.adobe.looked_up == 1


async def test_a_dataset_that_starts_empty_spares_the_look_up(store: MemoryStore) -> None:
    worker = Worker(store, completed())
    await worker.take(choice(10, news=True))
    assert worker.adobe.looked_up == 0


async def test_what_was_sent_in_another_mode_is_looked_up(store: MemoryStore) -> None:
    """Its stamps tell that it was sent, and nothing of what."""
    worker = Worker(store, completed())
    delivery = worker.delivery(choice(10, offers=True))
    (granted,) = await store.begin("shop", [Claim(delivery.user, [NEWS])])
    assert isinstance(granted, Granted)
    stamps = {NEWS: Stamp(1_772_000_000_000, 0, False, "ev-0")}
    await store.settle("shop", [Settlement(delivery.user, granted.lease, stamps, True)], 0)
    worker.adobe.found = {NEWS: True}
    await worker.take(choice(10, offers=True))
    assert worker.adobe.has == {"news": True, "offers": True}


def _by_id(**changes: Any) -> Integration:
    """Of a customer whose identities have no namespace."""
    partial = integration(
        properties=LOOKED_UP.properties.model_dump() | {"user_identifier": ["personID"]},
        mappings=[{"id": NEWS, "value": "consents_purposes_news_enabled"}],
        limits={"profile_gap_seconds": 0},
    )
    more = {"payload_mode": "xdm", "dataset_starts_empty": True} | changes
    return partial.model_copy(update=more)


async def _lost() -> Lost:
    store = Lost()
    await store.keeper.look(["2" * 16])
    return store


async def test_after_a_loss_who_can_not_be_looked_up_waits_until_it_is_accepted() -> None:
    store = await _lost()
    worker = Worker(store, _by_id())
    await worker.runner.gate.epochs.look()
    (result,) = await worker.take(choice(10, news=True))
    assert isinstance(result, Retryable)
    assert result.error == "state-lost"
    assert "identities.personID.namespace" in result.detail
    assert worker.adobe.records == []
    store.keeper.accept(["2" * 16])
    await worker.runner.gate.epochs.look()
    assert await worker.take(choice(10, news=True)) == [OK]


async def test_after_a_loss_others_are_looked_up_though_the_dataset_started_empty() -> None:
    store = await _lost()
    worker = Worker(store, completed(), adobe=Adobe())
    await worker.runner.gate.epochs.look()
    worker.adobe.found = {OFFERS: True}
    await worker.take(choice(10, news=True))
    assert worker.adobe.has == {"news": True, "offers": True}
    await worker.take(choice(20, news=False))
    assert worker.adobe.looked_up == 1, "who has been looked up is known"


async def test_after_a_loss_a_snapshot_waits_that_would_erase_what_other_devices_said() -> None:
    store = Lost()
    worker = Worker(store, SNAPSHOTS)
    await worker.gate.epochs.look()
    assert await worker.take(snapshot(10, "phone", news=True)) == [OK]
    assert await worker.take(snapshot(11, "tablet", offers=True)) == [OK]
    store._users.clear()
    store.keeper.lose("3" * 16)
    (result,) = await worker.take(snapshot(20, "phone", sms=True))
    assert isinstance(result, Retryable)
    assert result.error == "state-lost"
    assert worker.adobe.has == {"news": True, "offers": True}
    assert worker.adobe.looked_up == 0
    store.keeper.accept(["1" * 16])
    await worker.gate.epochs.look()
    assert await worker.take(snapshot(20, "phone", sms=True)) == [OK]


def silent(minute: int) -> bytes:
    """A snapshot of the phone that has no consents at all."""
    document = orjson.loads(snapshot(minute, "phone"))
    del document["parameters"]["new_entity"]["consents"]
    return orjson.dumps(document)


async def test_after_a_loss_a_snapshot_that_said_nothing_tells_nothing_of_other_devices() -> None:
    store = Lost()
    worker = Worker(store, SNAPSHOTS)
    await worker.gate.epochs.look()
    await worker.take(snapshot(10, "phone", news=True))
    await worker.take(snapshot(11, "tablet", offers=True))
    store._users.clear()
    store.keeper.lose("3" * 16)
    assert await worker.take(silent(20)) == [NoChoices()]
    (result,) = await worker.take(snapshot(21, "phone", sms=True))
    assert isinstance(result, Retryable)
    assert result.error == "state-lost"
    assert worker.adobe.has == {"news": True, "offers": True}
    store.keeper.accept(["1" * 16])
    await worker.gate.epochs.look()
    assert await worker.take(snapshot(21, "phone", sms=True)) == [OK]


async def test_without_a_loss_who_has_said_nothing_so_far_does_not_wait() -> None:
    worker = Worker(Lost(), SNAPSHOTS)
    await worker.gate.epochs.look()
    assert await worker.take(silent(20)) == [NoChoices()]
    assert await worker.take(snapshot(21, "phone", sms=True)) == [OK]


async def test_a_person_of_whom_snapshots_are_known_does_not_wait_for_a_loss() -> None:
    store = Lost()
    worker = Worker(store, SNAPSHOTS)
    assert await worker.take(snapshot(10, "phone", news=True)) == [OK]
    worker.gate.epochs.meet("2" * 16)
    await worker.gate.epochs.look()
    assert worker.gate.epochs.problem
    assert await worker.take(snapshot(20, "phone", sms=True)) == [OK]


async def test_a_loss_is_noticed_before_the_watch_does() -> None:
    store = Lost()
    worker = Worker(store, _by_id())
    await worker.runner.gate.epochs.look()
    assert await worker.take(choice(10, news=True)) == [OK]
    store._users.clear()
    store.keeper.lose("3" * 16)
    (result,) = await worker.take(choice(20, news=False))
    assert isinstance(result, Retryable)
    assert result.error == "state-lost"
    assert len(worker.adobe.records) == 1


async def test_nothing_is_sent_while_nobody_can_tell_of_a_loss() -> None:
    store = Lost()
    worker = Worker(store, completed())
    store.keeper.away = True
    assert await worker.take(choice(10, news=True)) == [Untried()]
    store.keeper.away = False
    assert await worker.take(choice(10, news=True)) == [OK]


async def test_nothing_is_sent_while_nobody_can_tell_of_a_loss_of_its_part() -> None:
    store = Lost()
    worker = Worker(store, completed())
    store.keeper.unasked = frozenset(("another part",))
    assert await worker.take(choice(10, news=True)) == [OK]
    store._users.clear()
    store.keeper.unasked = frozenset(store.parts)
    assert await worker.take(choice(20, news=True)) == [Untried()]
    await store.keeper.look(["2" * 16])
    assert await worker.take(choice(20, news=True)) == [OK], "looked up after a loss, as ever"


async def test_the_time_of_a_choice_that_was_found_goes_along(store: MemoryStore) -> None:
    mappings = [
        {
            "id": NEWS,
            "value": "consents_purposes_news_enabled",
            "time_path": "_acme.news_at",
        },
        {"id": OFFERS, "value": "consents_purposes_offers_enabled"},
    ]
    target = completed(mappings).model_copy(update={"dataset_starts_empty": False})
    worker = Worker(store, target)
    worker.adobe.found = {NEWS: True, "_acme.news_at": "2025-01-01T00:00:00.000Z"}
    await worker.take(choice(10, offers=True))
    found = {"news": True, "news_at": "2025-01-01T00:00:00.000Z"}
    assert worker.adobe.has == {"offers": True} | found
    await worker.take(choice(20, news=False))
    assert worker.adobe.has["news_at"] == "2026-03-02T08:20:00.000Z"


class Damaged(MemoryStore):
    """Something is there of each person that can't be read."""

    async def begin(
        self, integration_id: str, claims: Sequence[Claim]
    ) -> list[Granted | Contended]:
        answers = await super().begin(integration_id, claims)
        return [
            one._replace(is_damaged=True) if isinstance(one, Granted) else one for one in answers
        ]


async def test_who_is_known_in_part_is_looked_up_though_the_dataset_started_empty() -> None:
    worker = Worker(Damaged(Timing()), completed())
    worker.adobe.found = {OFFERS: True}
    await worker.take(choice(10, news=True))
    assert worker.adobe.has == {"news": True, "offers": True}


@pytest.mark.parametrize(
    ("target", "event"),
    [(_by_id(), choice(10, news=True)), (SNAPSHOTS, snapshot(10, "phone", news=True))],
)
async def test_who_is_known_in_part_and_can_not_be_looked_up_waits_alone(
    target: Integration, event: bytes
) -> None:
    worker = Worker(Damaged(Timing()), target)
    (result,) = await worker.take(event)
    assert isinstance(result, Retryable)
    assert result.error == "state-unreadable"
    assert worker.adobe.records == []
