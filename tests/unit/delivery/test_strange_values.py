"""Values that can't be kept, and faults after the request: nobody else's delivery is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tests.unit.delivery.parts import Hand, Store
from tests.unit.delivery.pipeline_parts import Adobe as Inlet
from tests.unit.delivery.pipeline_parts import Worker as WholeWorker
from tests.unit.delivery.records import NO_GAP, Adobe, Worker, choice, completed, snapshot
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import NOW_MS, event_document, integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.retry_state import FRESH
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.request_round import Round
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Crashed, Duplicate, Result, Superseded, Untried
from worker.delivery.rounds.user_message import UserMessage
from worker.events import open_envelope
from worker.integrations.model import Integration
from worker.ordering.memory_store import MemoryStore
from worker.ordering.snapshot_fold import Known
from worker.ordering.store_protocol import Timing
from worker.reasons import ErrorCode
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver

OK = Accepted("x")
NEWS = {"id": "_acme.news", "value": "consents_purposes_news_enabled"}
VIP = {"id": "_acme.vip", "value": "metadata_groups", "format": "contains:vip"}
SHOP = completed([NEWS, VIP])


NESTED = orjson.loads(b"[" * 253 + b"]" * 253)
"""It can be written, and nothing can be put around it: orjson writes 254 levels."""


def said(user: str, minute: int, *, news: bool, **metadata: Any) -> bytes:
    """`DEEP` stands for what can be read and not be written again."""
    document = event_document(
        id=f"{user}-{minute}",
        created_at=f"2026-03-02T08:{minute:02}:00Z",
        user={
            "id": "device",
            "organization_user_id": f"{user}@northwind.example",
            "metadata": metadata,
        },
        consents={"purposes": [{"id": "news", "enabled": news}]},
    )
    return orjson.dumps(document).replace(b'"DEEP"', b"[" * 300 + b"]" * 300)


class Crowd(Worker):
    """Brings what many people have chosen in one round."""

    def crowd(self, *bodies: bytes) -> list[Delivery]:
        deliveries = []
        for body in bodies:
            made = decide(self.target, open_envelope(body), NOW_MS)
            assert isinstance(made, Deliver), made
            user = made.identity.value.partition("@")[0]
            message = Hand().message(body)
            deliveries.append(Delivery(message, FRESH, self.target, made, user))
        return deliveries

    async def deliver(self, *groups: list[Delivery]) -> list[Result]:
        results = dict(await self.runner.deliver(self.target, list(groups), RequestSlots(4)))
        return [results[one] for group in groups for one in group]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Timing())


@in_virtual_time
async def test_a_value_that_cannot_be_kept_is_a_dead_letter_and_others_are_delivered() -> None:
    inlet = Inlet()
    worker = WholeWorker(inlet, Store(), shop=SHOP)
    await worker.take(said("ole", 10, news=True, groups="DEEP"))
    await worker.take(said("lena", 10, news=True))
    await after(1)
    assert worker.told == ["dead", "delivered"]
    assert len(inlet.records) == 1, "nothing of it was sent"
    await worker.take(said("lena", 5, news=False))
    await after(2)
    assert worker.told[-1] == "superseded"


@pytest.mark.parametrize("groups", [["vip", ["a", ["b"]], {"c": 1}], ["a", ["vip"]]])
async def test_of_a_list_only_what_a_mapping_can_write_is_kept(
    store: MemoryStore, groups: list[Any]
) -> None:
    worker = Crowd(store, SHOP)
    [first] = worker.crowd(said("lena", 10, news=True, groups=groups))
    assert await worker.deliver([first]) == [OK]
    [second] = worker.crowd(said("lena", 20, news=False))
    assert await worker.deliver([second]) == [OK]
    assert worker.adobe.has == {"news": False, "vip": "vip" in groups}


TIER = {"id": "_acme.tier", "value": "metadata_tier", "absent": "none"}


@pytest.mark.parametrize("mode", ["upsert", "xdm"])
async def test_what_a_snapshot_names_and_its_mapping_can_t_write_is_not_taken_back(
    store: MemoryStore, mode: str
) -> None:
    mappings = [NEWS | {"absent": False}, TIER]
    shop = integration(events="user", payload_mode=mode, mappings=mappings, limits=NO_GAP)
    worker = Worker(store, shop)

    def status(minute: int, *, news: bool, **metadata: Any) -> bytes:
        document = orjson.loads(snapshot(minute, news=news))
        document["parameters"]["new_entity"]["metadata"] = metadata
        return orjson.dumps(document)

    assert await worker.take(status(10, news=True, tier="gold")) == [OK]
    assert await worker.take(status(20, news=False, tier=["gold", "vip"])) == [OK]
    assert worker.adobe.has == {"news": False} | ({"tier": "gold"} if mode == "xdm" else {})
    assert await worker.take(status(30, news=False)) == [OK]
    assert worker.adobe.has["tier"] == "none", "it is taken back once it is not named"


@pytest.mark.parametrize("secret", [b"", b"a secret"])
async def test_what_was_found_at_adobe_and_cannot_be_kept_is_looked_up_again(
    store: MemoryStore, secret: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    target = completed([NEWS, {**VIP, "id": "vip"}])
    target = target.model_copy(update={"dataset_starts_empty": False})
    worker = Worker(store, target, secret=secret)
    worker.adobe.found = {"vip": NESTED}
    assert await worker.take(choice(10, news=True)) == [OK]
    out = capsys.readouterr().out
    assert "ordering.value_not_kept" in out
    user = worker.delivery(choice(10, news=True)).user
    assert (user in out) is bool(secret), "without one it could be guessed"
    assert await worker.take(choice(5, news=False)) == [Superseded()]
    worker.adobe.found = {"vip": True}
    assert await worker.take(choice(20, news=False)) == [OK]
    assert await worker.take(choice(30, news=True)) == [OK]
    assert worker.adobe.looked_up == 2


async def test_a_fault_in_settling_one_person_concerns_only_what_is_kept_beside(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    settlement = UserMessage.settlement

    def faulty(self: UserMessage, *rest: Any) -> Any:
        if self.user == "ole":
            raise OverflowError("of a number")
        return settlement(self, *rest)

    worker = Crowd(store, SHOP)
    both = worker.crowd(said("lena", 10, news=True), said("ole", 10, news=True))
    with monkeypatch.context() as patched:
        patched.setattr(UserMessage, "settlement", faulty)
        assert await worker.deliver(*([one] for one in both)) == [OK, OK]
    again = worker.crowd(said("lena", 10, news=True), said("ole", 5, news=False))
    assert await worker.deliver(*([one] for one in again)) == [Duplicate(), Superseded()]


async def test_a_fault_in_gathering_what_was_accepted_forgets_nothing_of_anybody(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = UserMessage.accepted

    def faulty(self: UserMessage) -> Known:
        if self.user == "ole":
            raise KeyError("x")
        return accepted(self)

    worker = Crowd(store, SHOP)
    both = worker.crowd(said("lena", 10, news=True), said("ole", 10, news=True))
    with monkeypatch.context() as patched:
        patched.setattr(UserMessage, "accepted", faulty)
        assert await worker.deliver(*([one] for one in both)) == [OK, OK]
    again = worker.crowd(said("lena", 5, news=False), said("ole", 5, news=False))
    assert await worker.deliver(*([one] for one in again)) == [Superseded(), Superseded()]
    again = worker.crowd(said("ole", 20, news=False))
    assert await worker.deliver(again) == [OK]


async def test_the_same_of_a_person_whose_message_was_taken_apart(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(_: UserMessage) -> Known:
        raise KeyError("x")

    worker = Crowd(store, SHOP)
    worker.adobe.replies = [Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)]
    lena = worker.crowd(said("lena", 10, news=True, groups=["vip"]), said("lena", 20, news=False))
    with monkeypatch.context() as patched:
        patched.setattr(UserMessage, "accepted", faulty)
        assert await worker.deliver(lena) == [Untried(), OK]
    older = worker.crowd(said("lena", 15, news=True))
    assert await worker.deliver(older) == [Superseded()]


async def test_a_fault_in_telling_what_became_of_one_person_concerns_that_one(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = UserMessage.results

    def faulty(self: UserMessage) -> Any:
        if self.user == "ole":
            raise KeyError("x")
        return results(self)

    worker = Crowd(store, SHOP)
    both = worker.crowd(said("lena", 10, news=True), said("ole", 10, news=True))
    monkeypatch.setattr(UserMessage, "results", faulty)
    assert await worker.deliver(*([one] for one in both)) == [OK, Crashed("KeyError")]


class Faulty(Adobe):
    """Takes at most `most` messages in one request, and stumbles over those of one person."""

    def __init__(self, stumbles_over: str, most: int = 10) -> None:
        super().__init__()
        self._stumbles_over = stumbles_over
        self._most = most

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        if len(messages) > self._most:
            return Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)
        if any(self._stumbles_over in repr(one.record) for one in messages):
            raise KeyError("x")
        return await super().send(integration, messages)


async def test_a_fault_in_a_later_request_of_the_round_forgets_nothing_of_the_first(
    store: MemoryStore,
) -> None:
    worker = Crowd(store, SHOP, adobe=Faulty("ole", most=1))
    both = worker.crowd(said("lena", 10, news=True), said("ole", 10, news=True))
    assert await worker.deliver(*([one] for one in both)) == [OK, Crashed("KeyError")]
    [older] = worker.crowd(said("lena", 5, news=False))
    assert await worker.deliver([older]) == [Superseded()]


async def test_a_fault_in_taking_a_message_apart_leaves_nobody_without_a_result(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Crowd(store, SHOP)
    worker.adobe.replies = [Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)]
    lena = worker.crowd(said("lena", 10, news=True, groups=["vip"]), said("lena", 20, news=False))
    [ole] = worker.crowd(said("ole", 10, news=True))
    fold = UserMessage.__init__

    def faulty(self: UserMessage, target: Integration, group: list[Delivery], *rest: Any) -> None:
        if group == [lena[0]]:
            raise KeyError("x")
        fold(self, target, group, *rest)

    monkeypatch.setattr(UserMessage, "__init__", faulty)
    assert await worker.deliver(lena) == [Crashed("KeyError"), OK]
    assert await worker.deliver([ole]) == [OK]
    [older] = worker.crowd(said("lena", 15, news=True))
    assert await worker.deliver([older]) == [Superseded()]


UNCLEAR = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 504", 504, is_unclear=True)


@pytest.mark.parametrize("method", ["settlement", "unclear"])
async def test_a_fault_in_settling_what_is_unclear_has_the_newer_choice_repeated(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    worker = Crowd(store, SHOP)
    worker.adobe.replies = [UNCLEAR]
    older, newer = worker.crowd(said("lena", 10, news=True), said("lena", 20, news=False))

    def faulty(*_: Any) -> Any:
        raise OverflowError("of a number")

    with monkeypatch.context() as patched:
        patched.setattr(UserMessage, method, faulty)
        assert await worker.deliver([older]) == [UNCLEAR]
    assert await worker.deliver([newer]) == [OK]
    assert newer.repeat_seconds is not None


async def test_what_was_sent_when_taking_a_message_apart_failed_is_unclear(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Crowd(store, SHOP)
    worker.adobe.replies = [Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)]
    lena = worker.crowd(said("lena", 10, news=True, groups=["vip"]), said("lena", 20, news=False))
    request = Round._request

    async def faulty(self: Round, messages: list[UserMessage]) -> Any:
        if messages[0].deliveries == [lena[1]]:
            messages[0].mark_sent()
            raise KeyError("x")
        return await request(self, messages)

    with monkeypatch.context() as patched:
        patched.setattr(Round, "_request", faulty)
        assert await worker.deliver(lena) == [Crashed("KeyError"), Crashed("KeyError")]
    [newest] = worker.crowd(said("lena", 30, news=True))
    assert await worker.deliver([newest]) == [OK]
    assert newest.repeat_seconds is not None
