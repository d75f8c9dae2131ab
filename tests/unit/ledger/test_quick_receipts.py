"""The quick way of reading a row gives what the careful one does, and refuses what that refuses."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from devtools.made_receipts import receipt
from worker.evidence.bounded_json import EARLIEST_MS, Unreadable
from worker.evidence.receipt import Receipt, encode_receipt, read_receipt
from worker.integrations.text_fields import MOST_ORGANIZATION_CHARACTERS
from worker.ledger.quick_receipts import quick_receipt

_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.integers(0, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=300),
    st.sampled_from(["dead", "parked", "given", "other", "x" * 257, "\0"]),
    st.dictionaries(st.text(max_size=9), st.one_of(st.none(), st.booleans(), st.integers())),
    st.lists(st.integers(), max_size=2),
)


def _told(row: bytes) -> Receipt | None:
    try:
        return read_receipt(row)
    except Unreadable:
        return None


def _check(row: bytes) -> None:
    expected = _told(row)
    for _ in range(2):  # the first one may have taught it the types
        if expected is None:
            with pytest.raises(Unreadable):
                quick_receipt(row)
        else:
            found, is_same = quick_receipt(row)
            assert found == expected
            assert is_same == (encode_receipt(expected) == row)


@given(st.dictionaries(st.sampled_from(Receipt._fields), _VALUES, max_size=3))
def test_whatever_the_values_are(changes: dict[str, Any]) -> None:
    quick_receipt(encode_receipt(receipt()))
    document = json.loads(encode_receipt(receipt())) | changes
    _check(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize("moment", [-1, EARLIEST_MS, EARLIEST_MS - 1, None])
def test_an_event_may_be_of_any_year(moment: int | None) -> None:
    quick_receipt(encode_receipt(receipt()))
    for name in ("event_at", "updated_at"):
        _check(json.dumps(json.loads(encode_receipt(receipt())) | {name: moment}).encode())


def test_one_that_says_what_went_wrong_is_told_the_same() -> None:
    row = encode_receipt(receipt("ev-1", error="timeout", code="403025", field="a.b"))
    _check(row)
    assert quick_receipt(row)[1]


def test_the_longest_organization_of_a_file_can_be_read() -> None:
    said = receipt(organization="o" * MOST_ORGANIZATION_CHARACTERS)
    for _ in range(2):
        assert quick_receipt(encode_receipt(said))[0] == said


@given(st.binary(max_size=99))
def test_whatever_the_bytes_are(row: bytes) -> None:
    _check(row)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.replace(b'":', b'": '),
        lambda row: row.replace(b'{"event"', b'{"event":"twice","event"'),
        lambda row: row[:-1] + b',"more":1}',
        lambda row: row.replace(b'"at"', b'"\\u0061t"'),
        lambda row: row.replace(b'"delivery":0,', b""),
        lambda row: row[:-1] + b',"error":null}',
        lambda row: row[:-1] + b',"code":"403025","error":"timeout"}',
    ],
)
def test_what_is_written_otherwise_is_told_so(change: Any) -> None:
    row = encode_receipt(receipt("ev-1"))
    quick_receipt(row)
    _check(change(row))
    if _told(change(row)) is not None:
        assert not quick_receipt(change(row))[1]
