"""A receipt to bytes and back, and what is refused of what anybody may have written."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evidence.chains import receipt
from worker.evidence.bounded_json import EARLIEST_MS, Unreadable
from worker.evidence.receipt import (
    MOST_ROW_BYTES,
    Receipt,
    body_id,
    encode_receipt,
    read_receipt,
)


def test_a_receipt_comes_back_as_it_was_with_all_keys_in_their_order() -> None:
    row = encode_receipt(receipt())
    assert read_receipt(row) == receipt()
    assert list(orjson.loads(row)) == [
        *("event", "updated_at", "integration", "organization", "delivery", "outcome", "reason"),
        *("attempt", "user", "choice", "attributes", "event_at", "due_at", "status", "xaction"),
        *("config", "at"),
    ]
    assert b"\n" not in encode_receipt(receipt()._replace(event="a\nb"))


def test_a_receipt_of_an_event_from_before_1970_is_read() -> None:
    old = receipt()._replace(event_at=-1000, updated_at=EARLIEST_MS)
    assert read_receipt(encode_receipt(old)) == old


def test_what_went_wrong_is_there_only_where_something_did() -> None:
    said = receipt()._replace(error="adobe-refused", code="403025")
    row = encode_receipt(said)
    assert read_receipt(row) == said
    assert list(orjson.loads(row))[-3:] == ["at", "error", "code"]


def test_of_attributes_that_do_not_fit_a_row_the_first_are_there_and_it_says_so() -> None:
    many: dict[str, bool | None] = {
        f"_tenant.{number:04}.{'x' * 30}": True for number in range(900)
    }
    row = encode_receipt(receipt()._replace(attributes=many))
    assert len(row) <= MOST_ROW_BYTES
    kept = read_receipt(row).attributes
    assert kept.pop("…", True) is None
    assert list(kept) == list(many)[: len(kept)]
    assert len(kept) > 100
    short: dict[str, bool | None] = {f"{number:x}": True for number in range(1001)}
    assert (
        len(read_receipt(encode_receipt(receipt()._replace(attributes=short))).attributes) <= 1000
    )


def _said(**changes: Any) -> bytes:
    return orjson.dumps(receipt()._asdict() | changes)


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"no json",
        b"[]",
        b'{"event":"ev"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        _said(outcome="lost"),
        _said(choice="perhaps"),
        _said(at=-1),
        _said(event_at=EARLIEST_MS - 1),
        _said(at=2**60),
        _said(at=True),
        _said(at=1.5),
        _said(event=7),
        _said(event="x" * 257),
        _said(attributes={"a": "text"}),
        _said(attributes={"x" * 1025: True}),
        _said(attributes=[True]),
        _said(attributes={"…" * 10: None}) + b" " * MOST_ROW_BYTES,
    ],
)
def test_what_is_no_receipt_is_unreadable_and_quotes_nothing(row: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_receipt(row)
    assert "xxx" not in str(caught.value)


def test_a_receipt_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    later = orjson.loads(_said(colour="green"))
    for name in ("user", "choice", "attributes", "status", "xaction", "due_at"):
        later.pop(name)
    read = read_receipt(orjson.dumps(later))
    assert read == receipt()._replace(user=None, choice=None, attributes={}, xaction=None)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_receipt_or_unreadable(row: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(read_receipt(row), Receipt)


def test_an_event_without_an_id_is_called_by_its_body() -> None:
    assert body_id(b"no json") == body_id(b"no json") != body_id(b"no json ")
    assert len(body_id(b"x")) == len("body:") + 32
