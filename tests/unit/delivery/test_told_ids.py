"""Nobody is told of an id that may be a person's: that of a snapshot is a Didomi user's, in apps
the advertising id, and that of an event is whatever its producer wrote.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from tests.unit.delivery.parts import Store
from tests.unit.delivery.pipeline_parts import Adobe, Worker
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import NOW_MS, event_document, integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.delivery.outcome import Outcome
from worker.delivery.receipt_facts import facts_of
from worker.events import open_envelope
from worker.evidence.receipt import body_id
from worker.integrations.model import Integration
from worker.ordering.user_digests import UserKeys
from worker.reasons import ErrorCode
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver

ADVERTISING_ID = "6D92078A-8246-4BA4-AE5B-76104861E7DC"
SHOP = integration(
    events="user",
    limits={"profile_gap_seconds": 0},
    mappings=[{"id": "_acme.news", "value": "consents_purposes_news_enabled", "absent": False}],
)
DIGEST = re.compile("[0-9a-f]{32}")


class Teller(Worker):
    """Also knows by which ids it told."""

    def __init__(self, adobe: Adobe, store: Store, shop: Integration = SHOP) -> None:
        super().__init__(adobe, store, shop=shop, secret=b"a secret")
        self.ids: list[str] = []

    def outcome(self, integration_id: str, outcome: Outcome, seconds: float, event_id: str) -> None:
        super().outcome(integration_id, outcome, seconds, event_id)
        self.ids.append(event_id)

    def delivered(self, integration_id: str, accepted: Any) -> None:
        super().delivered(integration_id, accepted)
        self.ids += [delivery.choice.event_id for delivery, _ in accepted]


def body(kind: str = "user.updated", **changes: Any) -> bytes:
    entity = {
        "id": ADVERTISING_ID,
        "organization_id": "northwind",
        "organization_user_id": "lena@northwind.example",
        "version": 4,
        "updated_at": "2026-03-02T08:15:30.120Z",
        "consents": {"purposes": [{"id": "news", "enabled": True}]},
    } | changes
    key = "new_entity" if kind == "user.updated" else "entity"
    return orjson.dumps({"type": kind, "parameters": {key: entity}})


@pytest.mark.parametrize(
    ("sent", "reply", "told"),
    [
        (body(), Accepted("x"), "delivered"),
        (body(), Retryable(ErrorCode.TIMEOUT, "no answer"), "retried"),
        (body(), Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400, fault="message"), "dead"),
        (body(organization_user_id="crm-77"), Accepted("x"), "dead"),
        (body(organization_user_id=""), Accepted("x"), "guest"),
        (body(consents=7), Accepted("x"), "dead"),
        (body("user.deleted"), Accepted("x"), "user-deleted"),
        (body("user.deleted", organization_id=None), Accepted("x"), "user-deleted"),
    ],
)
@in_virtual_time
async def test_each_outcome_is_told_by_a_digest(sent: bytes, reply: Any, told: str) -> None:
    adobe, store = Adobe(), Store()
    adobe.reply = reply
    worker = Teller(adobe, store)
    await worker.take(sent)
    await after(1)
    assert worker.told == [told]
    assert all(DIGEST.fullmatch(one) for one in worker.ids)
    assert len(worker.ids) == 1
    headers = [one.headers for one in worker.hand.host.published]
    assert ADVERTISING_ID not in repr((headers, store.settlements, worker.ids))


@in_virtual_time
async def test_one_that_comes_twice_is_known_by_its_digest() -> None:
    adobe, store = Adobe(), Store()
    first, second = Teller(adobe, store), Teller(adobe, store)
    await first.take(body())
    await second.take(body())
    assert (first.told, second.told) == (["delivered"], ["duplicate"])
    assert first.ids == second.ids
    (settlement, *_) = store.settlements
    assert {one.event_id for one in settlement.written.values()} == set(first.ids)


NAME = "1+Jane Doe"
EVENTS = integration(
    limits={"profile_gap_seconds": 0},
    mappings=[
        {"id": "_acme.news", "value": "consents_purposes_news_enabled"},
        {"id": "_acme.event", "value": "event_id"},
    ],
)


def event(**changes: Any) -> bytes:
    return orjson.dumps(event_document(id=NAME, **changes))


@pytest.mark.parametrize(
    ("sent", "reply", "told"),
    [
        (event(), Accepted("x"), "delivered"),
        (event(), Retryable(ErrorCode.TIMEOUT, "no answer", is_unclear=True), "retried"),
        (event(), Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400, fault="message"), "dead"),
        (event(user={"organization_user_id": ""}), Accepted("x"), "guest"),
        (event(consents=7), Accepted("x"), "dead"),
    ],
)
@in_virtual_time
async def test_each_outcome_of_an_event_with_a_personal_id_is_told_by_a_digest(
    sent: bytes, reply: Any, told: str
) -> None:
    adobe, store = Adobe(), Store()
    adobe.reply = reply
    worker = Teller(adobe, store, EVENTS)
    await worker.take(sent)
    await after(1)
    assert worker.told == [told]
    assert len(worker.ids) == 1
    assert all(DIGEST.fullmatch(one) for one in worker.ids)
    headers = [one.headers for one in worker.hand.host.published]
    assert "Jane" not in repr((headers, store.settlements, worker.ids))


@in_virtual_time
async def test_a_mapping_of_the_id_writes_what_the_event_says() -> None:
    adobe = Adobe()
    worker = Teller(adobe, Store(), EVENTS)
    await worker.take(event())
    assert adobe.records == [{"news": True, "event": NAME}]


@in_virtual_time
async def test_copies_of_an_event_with_a_personal_id_know_each_other() -> None:
    adobe, store = Adobe(), Store()
    first, second = Teller(adobe, store, EVENTS), Teller(adobe, store, EVENTS)
    await first.take(event())
    await second.take(event())
    assert (first.told, second.told) == (["delivered"], ["duplicate"])
    (settlement, *_) = store.settlements
    assert {one.event_id for one in settlement.written.values()} == set(first.ids)


def test_receipts_call_such_an_event_by_its_body_as_the_door_does() -> None:
    opened = UserKeys(b"a secret").without_person(open_envelope(event()))
    assert facts_of(opened, event(), None).event_id == body_id(event())


SAME = "usr-778"


@pytest.mark.parametrize("user", [{"organization_user_id": "USR-778 "}, {"id": SAME}])
def test_receipts_call_an_event_whose_id_is_its_persons_by_its_body(user: dict[str, Any]) -> None:
    said = orjson.dumps(event_document(id=SAME, user=user))
    for secret in (b"", b"a secret"):
        opened = UserKeys(secret).without_person(open_envelope(said))
        assert facts_of(opened, said, None).event_id == body_id(said)


@pytest.mark.parametrize("secret", [b"", b"a secret"])
@pytest.mark.parametrize(
    "sent",
    [
        event_document(id="ev-0001"),
        event_document(id=NAME),
        event_document(id=SAME, user={"id": SAME, "organization_user_id": "lena@a.example"}),
        event_document(id="7" * 80),
    ],
)
def test_who_knows_the_choice_calls_an_event_as_who_does_not(
    sent: dict[str, Any], secret: bytes
) -> None:
    """A worker that delivers it, the door, and the commands on dead letters."""
    said, keys = orjson.dumps(sent), UserKeys(secret)
    opened = keys.without_person(open_envelope(said))
    choice = decide(EVENTS, opened, NOW_MS)
    assert isinstance(choice, Deliver)
    told = facts_of(opened, said, choice)
    assert told == facts_of(opened, said, None)
    assert told.event_id == (sent["id"] if sent["id"] == "ev-0001" else body_id(said))


@in_virtual_time
async def test_an_outcome_of_such_an_event_is_told_by_a_digest() -> None:
    adobe, store = Adobe(), Store()
    worker = Teller(adobe, store, EVENTS)
    await worker.take(orjson.dumps(event_document(id=SAME, user={"organization_user_id": SAME})))
    assert worker.told == ["dead"]  # the integration wants an address
    assert all(DIGEST.fullmatch(one) for one in worker.ids)
    headers = [one.headers for one in worker.hand.host.published]
    assert SAME not in repr((headers, store.settlements, worker.ids))
