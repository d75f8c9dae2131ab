"""What the event of a dead letter is called: by Didomi, in log and state, and in receipts."""

from __future__ import annotations

import orjson
import pytest

from tests.unit.examples import event_document
from worker.delivery.receipt_facts import facts_of
from worker.events import open_envelope
from worker.evidence.receipt import body_id
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
