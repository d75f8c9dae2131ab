"""Whatever comes back, it is classified: a reply never raises."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from worker.adobe.collection_replies import classify_collection
from worker.adobe.failed_replies import parse_retry_after
from worker.adobe.profile_lookup import classify_lookup
from worker.adobe.replies import Accepted, NoProfile, Permanent, Retryable
from worker.adobe.token_replies import classify_token, token_error_code

KEYS = st.sampled_from(
    [
        *("responses", "status", "statusCode", "xactionId", "title", "message", "report"),
        *("error", "error_code", "cause", "retryAfterMs", "entity", "X"),
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["200", "400", "503", "²", "99999999999999999999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.binary(max_size=40) | JSON.map(orjson.dumps)
STATUSES = st.integers(100, 999)
HEADERS = st.fixed_dictionaries({}, optional={"Retry-After": st.text(max_size=40)})
DATES = st.tuples(
    st.sampled_from(["Thu, ", ""]),
    st.integers(-1, 99).map(str),
    st.sampled_from([" Jan ", " 1 ", "-Feb-"]),
    st.integers(-1, 99_999).map(str),
    st.sampled_from([" 00:00:30 GMT", " 99:99:99 GMT", " 0:0 +9999", " 1:2:3 -0000", ""]),
).map("".join)


@given(STATUSES, HEADERS, BODIES)
def test_streaming_ingestion(status: int, headers: dict[str, str], body: bytes) -> None:
    reply = classify_collection(status, headers, body)
    assert isinstance(reply, (Accepted, Retryable, Permanent))
    assert not isinstance(reply, Accepted) or status in (200, 207)


@given(STATUSES, HEADERS, BODIES)
def test_profile_look_up(status: int, headers: dict[str, str], body: bytes) -> None:
    reply = classify_lookup(status, headers, body)
    assert isinstance(reply, (type(None), NoProfile, Retryable, Permanent))
    assert status in (200, 404) or isinstance(reply, (Retryable, Permanent))


@given(STATUSES, HEADERS, BODIES)
def test_token_endpoint(status: int, headers: dict[str, str], body: bytes) -> None:
    assert isinstance(classify_token(status, headers, body), Retryable)
    assert isinstance(token_error_code(body), str)


@given(st.text(max_size=40) | DATES)
def test_retry_after(value: str) -> None:
    seconds = parse_retry_after(value, datetime(2026, 1, 1, tzinfo=UTC))
    assert seconds is None or seconds >= 0
