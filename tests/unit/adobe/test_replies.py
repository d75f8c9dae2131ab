"""The classification of replies: one row a row of Adobe's documentation."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from worker.adobe.collection_replies import classify_collection, classify_many
from worker.adobe.failed_replies import parse_retry_after
from worker.adobe.profile_lookup import classify_lookup
from worker.adobe.replies import Accepted, NoProfile, Permanent, Retryable
from worker.adobe.token_replies import classify_token

OK = b'{"inletId": "a", "xactionId": "1:2:3", "receivedTimeMs": 1}'
OTHER_SUCCESSES = (201, 202, 203, 204, 205, 206, 208, 226)


@pytest.mark.parametrize(
    ("status", "body", "kind", "error"),
    [
        (200, OK, Accepted, None),
        (200, b"<html>", Retryable, "adobe-unreadable"),
        (200, b"{}", Retryable, "adobe-unreadable"),
        (200, b'{"error": "upstream request timeout"}', Retryable, "adobe-unreadable"),
        (200, b'{"xactionId": ""}', Retryable, "adobe-unreadable"),
        (200, b'{"xactionId": 7}', Retryable, "adobe-unreadable"),
        (200, b'{"xactionId": "a b"}', Retryable, "adobe-unreadable"),
        (200, b'{"xactionId": "%s"}' % (b"1" * 129), Retryable, "adobe-unreadable"),
        (202, b"accepted", Retryable, "adobe-unreadable"),
        (204, b"", Retryable, "adobe-unreadable"),
        *((status, OK, Retryable, "adobe-unreadable") for status in OTHER_SUCCESSES),
        (207, b'{"responses": [{"statusCode": 200}]}', Retryable, "adobe-unreadable"),
        (207, b'{"responses": [{"xactionId": "<b>"}]}', Retryable, "adobe-unreadable"),
        (
            207,
            b'{"responses": [{"statusCode": null, "status": 400, "xactionId": "1"}]}',
            Permanent,
            "adobe-rejected",
        ),
        (207, b'{"responses": [{"xactionId": "1"}]}', Accepted, None),
        (
            207,
            b'{"responses": [{"statusCode": 400, "message": "no"}]}',
            Permanent,
            "adobe-rejected",
        ),
        (207, b'{"responses": [{"status": "503"}]}', Retryable, "adobe-unavailable"),
        (207, b'{"responses": [{"status": 200, "xactionId": "1"}]}', Accepted, None),
        (
            207,
            b'{"responses": [{"status": 202, "xactionId": "1"}]}',
            Retryable,
            "adobe-unreadable",
        ),
        (207, b'{"responses": [{"status": "odd"}]}', Retryable, "adobe-unreadable"),
        (207, b'{"responses": [{"status": true}]}', Retryable, "adobe-unreadable"),
        (207, b'{"responses": []}', Retryable, "adobe-unreadable"),
        (207, b"nonsense", Retryable, "adobe-unreadable"),
        (302, b"", Retryable, "adobe-redirected"),
        (400, b'{"title": "Invalid XDM"}', Permanent, "adobe-rejected"),
        (401, b'{"status": "401"}', Retryable, "adobe-refused"),
        (403, b"", Retryable, "adobe-refused"),
        (404, b"", Retryable, "adobe-not-found"),
        (413, b"", Permanent, "adobe-rejected"),
        (415, b"", Permanent, "adobe-rejected"),
        (422, b"", Permanent, "adobe-rejected"),
        (429, b"", Retryable, "adobe-throttled"),
        (500, b"", Retryable, "adobe-unavailable"),
        (501, b"", Retryable, "adobe-unavailable"),
        (503, b"", Retryable, "adobe-unavailable"),
    ],
)
def test_streaming_ingestion(status: int, body: bytes, kind: type, error: str | None) -> None:
    reply = classify_collection(status, {}, body)
    assert isinstance(reply, kind)
    assert getattr(reply, "error", None) == error


@pytest.mark.parametrize(
    ("status", "body", "unclear"),
    [
        (200, b"<html>", True),
        (200, b'{"xactionId": 7}', True),
        (204, b"", True),
        (207, b"nonsense", True),
        (207, b'{"responses": []}', True),
        (207, b'{"responses": [7]}', True),
        (207, b'{"responses": [{"status": "odd"}]}', True),
        (207, b'{"responses": [{"statusCode": 200}]}', True),
        (207, b'{"responses": [{"statusCode": 504}]}', True),
        (207, b'{"responses": [{"statusCode": 503}]}', False),
        (302, b"", False),
        (401, b"", False),
        (404, b"", False),
        (429, b"", False),
        (500, b"", False),
        (501, b"", False),
        (502, b"", True),
        (503, b"", False),
        (504, b"", True),
    ],
)
def test_of_some_answers_nobody_can_tell_whether_the_request_is_carried_out(
    status: int, body: bytes, unclear: bool
) -> None:
    reply = classify_collection(status, {}, body)
    assert isinstance(reply, Retryable)
    assert reply.is_unclear is unclear
    many = classify_many(status, {}, body, 1)
    if status != 200:
        assert many in (reply, [reply])
    looked_up = classify_lookup(status, {}, body)
    assert not getattr(looked_up, "is_unclear", False), "a read changes nothing"
    assert not classify_token(status, {}, body).is_unclear


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        pytest.param(b'[{"xactionId": "1"}, {"xactionId": "2"}]', [None, None], id="all taken"),
        pytest.param(
            b'[{"xactionId": "1"}, {"statusCode": 400}]', [None, "adobe-rejected"], id="one refused"
        ),
        pytest.param(
            b'[{"statusCode": 503}, {"status": "429"}]',
            ["adobe-unavailable", "adobe-throttled"],
            id="both forms of a status",
        ),
        pytest.param(
            b'[{"xactionId": "1"}, {"statusCode": 7}]', [None, "adobe-unreadable"], id="unknown"
        ),
        pytest.param(b'[{"xactionId": "1"}, 2]', [None, "adobe-unreadable"], id="no object"),
        pytest.param(b'[{}, {"xactionId": "2"}]', ["adobe-unreadable", None], id="says nothing"),
    ],
)
def test_each_message_of_a_batch_is_judged_by_its_own_item(
    body: bytes, errors: list[str | None]
) -> None:
    replies = classify_many(207, {}, b'{"responses": %s}' % body, 2)
    assert isinstance(replies, list)
    assert [getattr(reply, "error", None) for reply in replies] == errors


def test_what_was_accepted_has_its_own_status_or_that_of_the_whole_reply() -> None:
    alone = classify_collection(200, {}, b'{"xactionId": "1"}')
    assert isinstance(alone, Accepted)
    assert alone.http_status == 200
    items = b'[{"xactionId": "1"}, {"xactionId": "2", "statusCode": "200"}]'
    of_many = classify_many(207, {}, b'{"responses": %s}' % items, 2)
    assert isinstance(of_many, list)
    assert [getattr(one, "http_status", None) for one in of_many] == [207, 200]


@pytest.mark.parametrize("status", [200, *OTHER_SUCCESSES])
def test_a_batch_is_answered_with_207_alone(status: int) -> None:
    body = b'{"xactionId": "1", "responses": [{"xactionId": "1"}, {"xactionId": "2"}]}'
    reply = classify_many(status, {}, body, 2)
    assert isinstance(reply, Retryable)
    assert (reply.error, reply.is_unclear) == ("adobe-unreadable", True)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"responses": [{"xactionId": "1"}]}', id="fewer"),
        pytest.param(b'{"responses": [%s]}' % b",".join([b'{"xactionId": "1"}'] * 3), id="more"),
        pytest.param(b'{"responses": []}', id="none"),
        pytest.param(b'{"responses": {"xactionId": "1"}}', id="no list"),
        pytest.param(b"{}", id="absent"),
        pytest.param(b"<html>", id="not JSON"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_reply_to_a_batch_that_cannot_be_matched_accepts_none(body: bytes) -> None:
    reply = classify_many(207, {}, body, 2)
    assert isinstance(reply, Retryable)
    assert reply.error == "adobe-unreadable"


@pytest.mark.parametrize(
    ("status", "body", "kind", "error"),
    [
        (200, b'{"X": {"entity": {"a": 1}}}', type(None), None),
        (200, b"{}", NoProfile, None),
        (200, b'{"X": {"entity": {}}}', NoProfile, None),
        (200, b'{"X": {"entity": {}, "sources": [""]}}', NoProfile, None),
        (200, b'{"X": {"entity": {}, "sources": ["dataset"]}}', type(None), None),
        (404, b'{"statusCode": "404"}', NoProfile, None),
        (404, b'{"statusCode": 404}', NoProfile, None),
        (404, b'{"type": "https://ns.adobe.com/aep/errors/X", "status": 404}', NoProfile, None),
        (404, b'{"status": 404, "error": "Not Found"}', Retryable, "adobe-unreadable"),
        (404, b'{"statusCode": 404, "message": "no route"}', Retryable, "adobe-unreadable"),
        (404, b"{}", Retryable, "adobe-unreadable"),
        (404, b"<html>not found</html>", Retryable, "adobe-unreadable"),
        (404, b"", Retryable, "adobe-unreadable"),
        (404, b'{"message": "no route"}', Retryable, "adobe-unreadable"),
        (200, b'{"error": "upstream request timeout"}', Retryable, "adobe-unreadable"),
        (200, b'{"X": {"entity": null}}', Retryable, "adobe-unreadable"),
        (200, b'{"X": {}}', Retryable, "adobe-unreadable"),
        (200, b"[]", Retryable, "adobe-unreadable"),
        (200, b"[", Retryable, "adobe-unreadable"),
        (202, b"{}", Retryable, "adobe-unreadable"),
        (204, b"", Retryable, "adobe-unreadable"),
        (400, b"{}", Permanent, "lookup-rejected"),
        (401, b"{}", Retryable, "adobe-refused"),
        (403, b"{}", Retryable, "lookup-refused"),
        (422, b"{}", Retryable, "lookup-rejected"),
        (429, b'[{"retryAfterMs": "500"}]', Retryable, "adobe-throttled"),
        (503, b"", Retryable, "adobe-unavailable"),
    ],
)
def test_profile_look_up(status: int, body: bytes, kind: type, error: str | None) -> None:
    reply = classify_lookup(status, {}, body)
    assert isinstance(reply, kind)
    assert getattr(reply, "error", None) == error


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "token-refused"),
        (401, "token-refused"),
        (403, "token-refused"),
        (302, "adobe-redirected"),
        (429, "token-unavailable"),
        (500, "token-unavailable"),
        (200, "token-unavailable"),
    ],
)
def test_token_endpoint(status: int, error: str) -> None:
    assert classify_token(status, {}, b"").error == error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("invalid_client", "token-refused"),
        ("invalid_scope", "token-refused"),
        ("temporarily_unavailable", "token-unavailable"),
        ("server_error", "token-unavailable"),
        ("upstream request timeout", "token-unavailable"),
    ],
)
def test_a_token_endpoint_that_says_200_is_judged_by_its_body(error: str, kind: str) -> None:
    assert classify_token(200, {}, b'{"error": "%s"}' % error.encode()).error == kind


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("inletId: [x] imsOrgId: [y] Message has an absent or wrong ims org", "set-up"),
        ("Message has UNKNOWN XDM format", "form"),
        ("required key [email] not found", "message"),
        ("", "message"),
    ],
)
def test_a_refusal_is_somebodys_fault_by_adobes_words(text: str, fault: str) -> None:
    body = b'{"title": "Invalid", "report": {"message": "%s"}}' % text.encode()
    for reply in (
        classify_collection(400, {}, body),
        classify_collection(
            207, {}, b'{"responses": [{"status": 400, "message": "%s"}]}' % text.encode()
        ),
    ):
        assert isinstance(reply, Permanent)
        assert reply.fault == fault


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
def test_a_token_endpoint_that_is_busy_refuses_no_secret_whatever_its_status(error: str) -> None:
    assert classify_token(400, {}, b'{"error": "%s"}' % error.encode()).error == "token-unavailable"


def test_a_pause_is_read_from_header_or_body() -> None:
    throttled = classify_lookup(429, {}, b'[{"retryAfterMs": "500"}]')
    assert isinstance(throttled, Retryable)
    assert throttled.retry_after_seconds == 0.5
    unavailable = classify_collection(503, {"Retry-After": "7"}, b"")
    assert isinstance(unavailable, Retryable)
    assert unavailable.retry_after_seconds == 7


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'[{"retryAfterMs": "soon"}]', id="words"),
        pytest.param(b'[{"retryAfterMs": -5}]', id="negative"),
        pytest.param(b"[{}]", id="absent"),
        pytest.param(b"[1]", id="no object"),
        pytest.param(b"[]", id="empty list"),
        pytest.param(b'{"retryAfterMs": "500"}', id="no list"),
    ],
)
def test_a_pause_in_the_body_that_makes_no_sense_is_none(body: bytes) -> None:
    throttled = classify_lookup(429, {}, body)
    assert isinstance(throttled, Retryable)
    assert throttled.retry_after_seconds is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30),
        ("Thu Jan  1 00:00:30 2026", 30),
        ("Thursday, 01-Jan-26 00:00:30 GMT", 30),
        ("Thu Jan 99 00:00:30 2026", None),
        (None, None),
        ("", None),
        ("12", 12),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
        ("Thu, 01 Jan 2020 00:00:30 GMT", 0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


@pytest.mark.parametrize("name", ["status", "statusCode"])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(400, "adobe-rejected", id="refused"),
        pytest.param("422", "adobe-rejected", id="refused, as text"),
        pytest.param(500, "adobe-unavailable", id="failed"),
        pytest.param("no", "adobe-unreadable", id="unknown"),
    ],
)
def test_a_success_whose_body_says_that_it_failed_is_none(
    name: str, code: object, expected: str
) -> None:
    """Alone as in a batch, or to split a batch would make a success of a failure."""
    body = orjson.dumps({"xactionId": "1565650704337:2124:92:3", name: code, "title": "bad"})
    reply = classify_collection(200, {}, body)
    assert not isinstance(reply, Accepted)
    assert reply.error == expected


def test_a_success_that_says_so_twice_is_one() -> None:
    body = b'{"xactionId": "1565650704337:2124:92:3", "status": 200}'
    assert isinstance(classify_collection(200, {}, body), Accepted)
