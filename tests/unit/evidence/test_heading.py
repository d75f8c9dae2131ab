"""A message of the stream to bytes and back, and what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import hmac

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evidence.chains import SECRET, START_MS, receipt
from worker.evidence.bounded_json import Unreadable
from worker.evidence.chain import Chain, process_name
from worker.evidence.heading import MOST_BODY_BYTES, MOST_ROWS, read_message, unsigned
from worker.evidence.receipt import encode_receipt


def _message(rows: int = 2, secret: bytes = SECRET) -> bytes:
    kept = [encode_receipt(receipt(number)) for number in range(rows)]
    return Chain("host:1", secret).message("receipts", kept, START_MS)


def test_a_message_can_be_checked_with_nothing_but_a_digest_and_the_secret() -> None:
    """As docs/receipts.md tells an auditor, without this code."""
    line, *rows = _message().split(b"\n")
    heading = orjson.loads(line)
    assert list(heading) == [
        *("v", "kind", "chain", "sequence", "previous", "worker", "at", "rows", "digest"),
        *("key", "mac"),
    ]
    joined = b"".join(hashlib.sha256(row).digest() for row in rows)
    assert heading["digest"] == hashlib.sha256(joined).hexdigest()
    assert heading["previous"] == "0" * 64
    salted = hashlib.sha256(b"consent-worker receipts key id\n" + SECRET).hexdigest()
    assert heading["key"] == salted[:8]
    without = line.replace(heading["mac"].encode(), b"")
    assert without == unsigned(line)
    assert heading["mac"] == hmac.new(SECRET, without, "sha256").hexdigest()


def test_a_message_points_to_the_one_before() -> None:
    chain = Chain("host:1")
    first, second = (chain.message("state", [b"{}"], START_MS + one) for one in range(2))
    before, after = read_message(first), read_message(second).heading
    assert after.previous == hashlib.sha256(before.line).hexdigest()
    assert (before.heading.sequence, after.sequence) == (0, 1)
    assert (after.key, after.mac) == ("", "")
    assert read_message(first).rows == (b"{}",)


def test_a_message_without_rows_is_its_heading() -> None:
    body = Chain("host:1").message("begin", (), START_MS)
    assert b"\n" not in body
    message = read_message(body)
    assert message.rows == ()
    assert message.heading.digest == hashlib.sha256(b"").hexdigest()


def test_the_name_of_a_process_is_bounded() -> None:
    assert 3 < len(process_name()) <= 64
    assert len(Chain("x" * 100).worker) == 64


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"{}",
        b"[1]\n{}",
        _message().replace(b'"v":1', b'"v":2'),
        _message().replace(b'"v":1', b'"v":true'),
        _message().replace(b'"kind":"receipts"', b'"kind":"wishes"'),
        _message().replace(b'"sequence":0', b'"sequence":-1'),
        _message().replace(b'"sequence":0', b'"sequence":"0"'),
        _message().replace(b'"worker":"host:1"', b'"worker":"' + b"x" * 65 + b'"'),
        _message().replace(b'"rows":2', b'"rows":2.0'),
        _message().replace(b'"previous":"00', b'"previous":"0'),
        _message().replace(b'"previous":"00', b'"previous":"0Z'),
        _message().replace(b"}\n", b',"more":1}\n', 1),
        _message() + b"\n" + b"x" * (16 * 1024 + 1),
        b"x" * 5000,
        _message() + b"\n" * MOST_ROWS,
        _message() + b"x" * MOST_BODY_BYTES,
    ],
)
def test_what_is_no_message_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_message(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_unreadable(body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        read_message(body)
