"""What a receipt of the door tells: of the event, and of nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from devtools.stack import event
from worker.delivery.event_decisions import EventDecisions
from worker.delivery.receipt_facts import facts_of
from worker.door.door_metrics import DoorMetrics
from worker.door.received_events import DoorFacts, ReceivedEvents
from worker.events import open_envelope
from worker.evidence.receipt import ReceiptFields, body_id
from worker.ledger.worker_state import read_state
from worker.letters.letter_key import LetterKeys
from worker.ordering.user_digests import UserKeys

DEVICE = "6d92078a-8246-4ba4-ae5b-76104861e7dc"


class Book:
    """Keeps receipts, and calls nobody back."""

    def __init__(self) -> None:
        self.receipts: list[ReceiptFields] = []

    def user_hash(self, organization_user_id: str, at_ms: int) -> str | None:
        raise AssertionError("a door asks for no person")

    def write(self, receipt: ReceiptFields, then: Callable[[], None]) -> None:
        self.receipts.append(receipt)


def _receipt(body: bytes, secret: bytes = b"", *, book: Book | None = None) -> ReceiptFields:
    kept = book or Book()
    received = ReceivedEvents(DoorMetrics(), UserKeys(secret))
    received.book = kept
    arrival = received.arrival_of(open_envelope(body), body)
    received.confirmed(arrival, False, lambda: None)
    assert received.received == 1
    return kept.receipts[0]


def _event(event_id: str, **changes: Any) -> bytes:
    return json.dumps(event("org-shop", "lena@a.example", event_id=event_id, **changes)).encode()


def _snapshot() -> bytes:
    entity = {"id": DEVICE, "organization_id": "org-shop", "version": 4} | {
        "updated_at": "2026-03-02T08:15:30Z"
    }
    return json.dumps({"type": "user.updated", "parameters": {"new_entity": entity}}).encode()


def test_an_event_is_called_as_its_workers_call_it_and_nobody_is_named() -> None:
    receipt = _receipt(_event("ev-0001", created_at="2026-03-02T08:15:30Z"))
    assert (receipt["event"], receipt["outcome"]) == ("ev-0001", "received")
    assert (receipt["organization"], receipt["integration"]) == ("org-shop", "")
    assert receipt["event_at"] == 1_772_439_330_000
    assert "lena" not in json.dumps(receipt)


def test_an_id_that_may_tell_of_a_person_is_a_digest_of_the_body() -> None:
    body = _event("lena@a.example", organization_id="Lena Müller")
    receipt = _receipt(body)
    assert receipt["event"] == body_id(body)
    assert receipt["organization"] == ""


def test_the_id_of_a_device_is_told_to_nobody() -> None:
    body = _snapshot()
    keyed = _receipt(body, b"secret-of-the-fleet")
    expected = UserKeys(b"secret-of-the-fleet").without_person(open_envelope(body)).event_id
    assert keyed["event"] == expected
    without = _receipt(body)
    assert without["event"] == body_id(body)
    assert DEVICE not in json.dumps([keyed, without])


@pytest.mark.parametrize("secret", [b"", b"secret-of-the-fleet"])
@pytest.mark.parametrize("body", [_snapshot(), _event("ev-1"), _event("lena@a.example")])
def test_door_worker_and_dead_letters_call_an_event_alike(body: bytes, secret: bytes) -> None:
    """Or the ledger waits for ever for the outcome of what the door has received."""
    keys = UserKeys(secret)
    by_door = _receipt(body, secret)["event"]
    facts = facts_of(EventDecisions(keys, facts_of).read(body), body, None)
    assert facts.event_id == by_door
    assert LetterKeys(keys).named(body)[0] == by_door


def test_nothing_is_kept_for_a_receipt_that_nobody_writes() -> None:
    received = ReceivedEvents(DoorMetrics(), UserKeys())
    body = _event("ev-1")
    arrival = received.arrival_of(open_envelope(body), body)
    told: list[bool] = []
    received.confirmed(arrival, True, lambda: told.append(True))
    assert (arrival.facts, told) == (None, [True])


def test_the_state_of_a_door_says_how_many_came_and_adds_up() -> None:
    received = ReceivedEvents(DoorMetrics(), UserKeys())
    received.received = 7
    row = DoorFacts(received, lambda: 3).state_row({"": 2})
    state = read_state(row)
    assert (state.received, state.missing, state.taken) == (7, 0, 0)
    assert state.unreceipted == {"": 2}
