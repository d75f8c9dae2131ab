"""What the event of a dead letter is called: by Didomi, in log and state, and in receipts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aio_pika
import orjson
import pytest

from tests.unit.examples import event_document
from tests.unit.ledger.test_known_letters import letter
from worker.broker.dead_letter import describe, fingerprint_of
from worker.console.dead_letters.listed_letter import NO_LIFE, Inventory, ListedLetter, listed
from worker.delivery.receipt_facts import facts_of
from worker.events import open_envelope
from worker.evidence.letter_cause import NOBODY_KNOWS_IT
from worker.evidence.receipt import body_id
from worker.ledger.packing import life_key, pack_event
from worker.letters.ledger_pass import seen_letter
from worker.letters.letter_events import LetterEvent
from worker.letters.letter_key import LetterKeys
from worker.ordering.user_digests import UserKeys

PRESENT, FORMER = UserKeys(b"present", b"former"), UserKeys(b"former")
KEYS = LetterKeys(PRESENT)


def _snapshot() -> bytes:
    entity = {"id": "DEVICE-OF-LENA", "organization_id": "northwind", "version": 4}
    return orjson.dumps({"type": "user.updated", "parameters": {"new_entity": entity}})


@pytest.mark.parametrize(
    ("body", "event_id"),
    [
        (orjson.dumps(event_document(id="ev-1")), "ev-1"),
        (orjson.dumps(event_document(id="lena@northwind.example")), "lena@northwind.example"),
        (orjson.dumps(event_document(id="evt-20240101123456")), "evt-20240101123456"),
        (_snapshot(), "DEVICE-OF-LENA"),
        (orjson.dumps(event_document(id="usr-7", user={"organization_user_id": "USR-7"})), "usr-7"),
    ],
)
def test_an_event_has_each_id_that_somebody_may_have_read(body: bytes, event_id: str) -> None:
    ids = KEYS.ids_of(body)
    opened = open_envelope(body)
    for users in (PRESENT, FORMER):
        told = users.without_person(opened)
        assert told.event_id in ids, "of a log, also of before a rotation"
        assert facts_of(told, body, None).event_id in ids, "of a receipt"
    assert event_id in ids
    assert KEYS.named(body)[0] in ids
    assert not ids & KEYS.ids_of(body.replace(event_id.encode(), b"another"))


def test_what_is_no_event_is_called_by_its_body() -> None:
    assert KEYS.ids_of(b"{") == {body_id(b"{")}


def _letter(body: bytes, own: dict[str, Any] | None = None) -> LetterEvent:
    headers: Any = {"consent-integration": "shop", "consent-dead-reason": "poison"} | (own or {})
    message: Any = aio_pika.Message(body, message_id="letter-1", headers=headers)
    return LetterEvent(describe(message), headers, body)


def _life_key(one: ListedLetter, *known: bytes) -> bytes | None:
    return Inventory(0, 1, (one,), dict.fromkeys(known, NO_LIFE)).life_key(one)


def test_a_life_of_before_is_known_by_the_id_that_is_its_persons() -> None:
    event = _letter(orjson.dumps(event_document(id="usr-7", user={"id": "usr-7"})))
    former = life_key(pack_event("usr-7"), KEYS.named(event.body)[1], "shop", 0)
    seen = seen_letter(event, KEYS)
    assert seen.lives[0] == KEYS.key_of(event) != former
    assert former in seen.lives
    one = listed(event, KEYS)
    assert former in one.keys
    assert _life_key(one, former) == former
    assert _life_key(one, former, one.key) == one.key
    tried = _letter(event.body, {"consent-attempts": 3})
    assert set(listed(tried, KEYS).keys) == {one.key, former}


@pytest.mark.parametrize("event_id", ["usr-8", "lena@northwind.example"])
def test_all_others_are_called_as_they_were(event_id: str) -> None:
    event = _letter(orjson.dumps(event_document(id=event_id, user={"id": "usr-7"})))
    assert KEYS.former_name(event.body) is None
    assert listed(event, KEYS).key == KEYS.key_of(event)


def test_a_letter_is_of_the_life_that_its_receipt_has() -> None:
    body = orjson.dumps(event_document(id="ev-1"))
    headers = {"consent-integration": "ghost", "consent-dead-reason": "unknown-integration"}
    named = letter(1)
    named = replace(named, integration="ghost", reason="unknown-integration", detail="is gone")
    nobodys = replace(named, detail=NOBODY_KNOWS_IT)
    keys = [KEYS.key_of(LetterEvent(one, headers, body)) for one in (named, nobodys)]
    name, updated_at_ms = KEYS.named(body)
    expected = [
        life_key(pack_event(name), updated_at_ms, one, named.replays) for one in ("ghost", "")
    ]
    assert keys == expected
    assert fingerprint_of(named).integration == "ghost"
    assert fingerprint_of(nobodys).integration is None
    lives = list(KEYS.lives_of(LetterEvent(nobodys, headers, body)))
    assert set(expected) < set(lives), "and those by its body"
    assert lives[0] == expected[1]
