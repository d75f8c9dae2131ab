"""What Adobe and its token endpoint answer: always classified, and never quoted."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any, Final, cast

import aiohttp

from devtools.examples import integration_document
from devtools.fuzz.target import Target
from devtools.fuzz.values import (
    PERSON,
    Raw,
    anything,
    assert_hidden,
    below,
    json_bytes,
    number,
    pick,
    text,
    written,
)
from worker.adobe.access_tokens import TokenSource
from worker.adobe.clock_offset import ClockOffset
from worker.adobe.collection_replies import classify_collection, classify_many
from worker.adobe.failed_replies import parse_retry_after
from worker.adobe.http_client import BODY_BYTES_A_MESSAGE, MAX_BODY_BYTES, RawReply
from worker.adobe.profile_lookup import classify_lookup
from worker.adobe.replies import Accepted, NoProfile, Permanent, Reply, Retryable
from worker.adobe.token_life import AccessToken
from worker.adobe.token_replies import classify_token, token_error_code
from worker.integrations.sections import Authentication

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_KEY: Final = b"key of fingerprints"
_SHOWN_CHARACTERS: Final = 500
_TEN_DAYS_SECONDS: Final = 864_000.0
_STATUSES: Final = (200, 200, 207, 207, 301, 400, 401, 403, 404, 413, 422, 429, 500, 502, 503, 999)
_SENTENCES: Final = (
    *("Absent or wrong IMS Org", "Unknown XDM format", "invalid_client", "invalid_grant", "200"),
    *("DCVS-1106-400", "MAPPER-3700", "403025", "Not Found", "server_error", "²", "404", "-1"),
    *("http://ns.adobe.com/aep/errors/UPS-ACC-0000404", "1565650704337:2124:92:3"),
    f"Message cannot be validated: #/personalEmail: '{PERSON}' expected type",
)
_NAMES: Final = (
    *("responses", "status", "statusCode", "xactionId", "title", "message", "report", "error"),
    *("error_code", "cause", "retryAfterMs", "entity", "type", "detail", "access_token"),
    *("expires_in", "error_description", "X"),
)
_RETRY_AFTER: Final = (
    *("5", " 7 ", "0", "-1", "9" * 400, "1.5", "²", "Thu, 01 Jan 2026 00:00:30 GMT"),
    *("Thursday, 01-Jan-26 00:00:30 GMT", "Thu Jan  1 00:00:30 2026", "soon"),
)
_DAYS: Final = ("Thu, ", "Thu,", "", ",", "Thu", " ")
_MONTHS: Final = (" Jan ", "-Feb-", " 1 ", ", ", " december ", " ")
_CLOCKS: Final = (" 00:00:30", " 99:99:99", " 1.2", " 1.2.3.4", ":", " 0:0", " 24:00:60", "")
_ZONES: Final = (" GMT", " +9999", " -0000", " +" + "9" * 30, " EST", " 1:2", ",", "")

Case = tuple[str, int, dict[str, str], int, bytes]


def make(r: Random) -> Case:
    """Whose answer it is, its status and headers, of how many messages it is, and its body."""
    headers = {"Retry-After": _retry_after(r)} if r.random() < 0.3 else {}
    count = pick(r, (1, 1, 2, 3))
    if r.random() < 0.001:
        count = pick(r, (200, 1000))
    kind = pick(r, ("collection", "many", "many", "lookup", "token"))
    body = json_bytes(r, _document(r, count), 0.05, _NAMES)
    return kind, pick(r, _STATUSES), headers, count, body[: _most_bytes(count)]


def _most_bytes(count: int) -> int:
    return MAX_BODY_BYTES + BODY_BYTES_A_MESSAGE * count


def check(case: Case) -> None:
    """See the module."""
    kind, status, headers, count, body = case
    if kind == "collection":
        _check_reply(classify_collection(status, headers, body, _KEY))
    elif kind == "many":
        many = classify_many(status, headers, body, count, _KEY)
        if isinstance(many, list):
            assert len(many) == count, "not an answer for each message"
        for one in many if isinstance(many, list) else [many]:
            _check_reply(one)
    elif kind == "lookup":
        found = classify_lookup(status, headers, body, _KEY)
        assert found is not None or status == 200
        if found is not None:
            _check_reply(found)
    else:
        refusal = classify_token(status, headers, body, _KEY)
        assert isinstance(refusal, Retryable)
        _check_reply(refusal)
        token_error_code(body)


def _check_reply(reply: Reply) -> None:
    assert isinstance(reply, Accepted | NoProfile | Retryable | Permanent)
    if isinstance(reply, Accepted):
        assert_hidden(reply.xaction_id or "")
    elif isinstance(reply, Retryable | Permanent):
        assert_hidden(reply.detail)
        assert len(reply.detail) <= _SHOWN_CHARACTERS
    if isinstance(reply, Retryable) and reply.retry_after_seconds is not None:
        assert 0 <= reply.retry_after_seconds < float("inf")


def _document(r: Random, count: int) -> Any:
    kind = below(r, 6)
    if kind == 0:
        return {"responses": [_item(r) for _ in range(count)]}
    if kind == 1:
        return {"X": {"entity": pick(r, ({}, {"a": 1}))}}
    if kind == 2:
        return [{"retryAfterMs": pick(r, ("1500", 1500, "x")), "message": PERSON}]
    if kind == 3:
        return {"access_token": "t", "expires_in": 86_399, "error": pick(r, _SENTENCES)}
    return _item(r)


def _item(r: Random) -> dict[str, Any]:
    item: dict[str, Any] = {"xactionId": "1565650704337:2124:92:3"} if r.random() < 0.5 else {}
    for _ in range(below(r, 5)):
        item[pick(r, _NAMES)] = pick(r, _SENTENCES) if r.random() < 0.7 else _odd(r)
    return item


def _odd(r: Random) -> Any:
    kind = below(r, 5)
    if kind == 0:
        return pick(r, _STATUSES)
    if kind == 1:
        return {"message": text(r), "cause": pick(r, _SENTENCES)}
    return text(r) if kind == 2 else anything(r, 2)


def _retry_after(r: Random) -> str:
    return pick(r, _RETRY_AFTER) if r.random() < 0.5 else make_date(r)


_AUTHENTICATION: Final = Authentication.model_validate(integration_document()["authentication"])
_SOURCE: Final = TokenSource(
    cast("aiohttp.ClientSession", None), "https://ims.example/", _AUTHENTICATION, lambda: 100.0
)


def make_token(r: Random) -> tuple[int, bytes]:
    """A status and what should be a token."""
    life = pick(r, (86_399, 86_399_000, "3600", -1, 0, True, 10**40, "1e400", "nan", "१"))
    if r.random() < 0.3:
        life = Raw(pick(r, ("NaN", "1e400", "-Infinity", "9" * 5000, str(number(r)))))
    document = {"access_token": pick(r, ("t", text(r))), "expires_in": life}
    if isinstance(life, int) and abs(life) >= 2**63:
        document["expires_in"] = Raw(str(life))
    body = json_bytes(r, document, 0.1, _NAMES) if r.random() < 0.8 else written(document)
    return pick(r, (200, 200, 200, 201, 400)), body


def check_token(case: tuple[int, bytes]) -> None:
    """A token lives for a sensible time, whatever is said of it."""
    status, body = case
    token = _SOURCE._read(RawReply(status, {}, body))
    if token is None:
        return
    assert isinstance(token, AccessToken)
    assert token.value
    assert isinstance(token.value, str)
    assert 1 <= token.expires_at - token.obtained_at <= _TEN_DAYS_SECONDS
    assert token.obtained_at < token.refresh_at < token.expires_at


def make_date(r: Random) -> str:
    """Nearly a date."""
    if r.random() < 0.1:
        return text(r)
    day, year = str(below(r, 40) - 1), str(pick(r, (26, 2026, 0, 9999, 10**20, below(r, 99_999))))
    return pick(r, _DAYS) + day + pick(r, _MONTHS) + year + pick(r, _CLOCKS) + pick(r, _ZONES)


def check_date(value: str) -> None:
    """A header with a date costs no request."""
    seconds = parse_retry_after(value, _NOW)
    assert seconds is None or 0 <= seconds < float("inf")
    clock = ClockOffset(lambda: 1_767_225_600.0)
    for _ in range(3):
        clock.note("dcs.adobedc.net", value)
    assert clock.seconds is None or abs(clock.seconds) < float("inf")


TARGETS: Final = (
    Target("replies", make, check, share=40),
    Target("tokens", make_token, check_token, share=30),
    Target("dates", make_date, check_date, share=30),
)
