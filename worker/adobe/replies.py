"""Every reply of Adobe, classified once. Pure.

    Reply
     ├─ Accepted    the collection service took the message (validation at Adobe comes later)
     ├─ NoProfile   the look-up knows no such contact
     ├─ Retryable   the endpoint's, the network's or the credentials' fault: someone may mend it
     └─ Permanent   the message's own fault: no repetition will help

Status codes and bodies: Adobe's pages "Streaming multiple messages", "HTTP API streaming
connection" and "Entities endpoint (Profile Access)" in Experience Platform's documentation, and
the specifications streaming-ingestion and profile of AdobeDocs/experience-platform-apis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import orjson

from worker.adobe.refusals import Fault, fault_of
from worker.adobe.words import MOST_CHARACTERS, raw_text, shown_transaction, shown_words
from worker.reasons import ErrorCode
from worker.tuples import new_tuple

_XACTION_ID: Final = re.compile(r"[0-9A-Za-z:._-]{1,128}")
"""Adobe's own sign that it has taken a message; whatever else says 200 has not."""
_PASSING_TOKEN_ERRORS: Final = frozenset({"server_error", "temporarily_unavailable"})
_TOKEN_REFUSALS: Final = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""RFC 6749, section 5.2. Any other `error` with a 200 may be a proxy's."""
_PROBLEM_TYPES: Final = ("http://ns.adobe.com/", "https://ns.adobe.com/")
_CHARACTERS_OF_A_BATCH: Final = 200_000
_LEAST_CHARACTERS: Final = 200
"""Read of all items of a batch together, and of each at least: a thousand with long texts would
keep all other customers waiting."""
_TAKEN: Final = 200
_TAKEN_EACH: Final = 207
"""The only successes of streaming ingestion that Adobe documents, of one message and of several
(its specification streaming-ingestion). Another may be anybody's: 202 says of itself that nothing
was done yet (RFC 9110, section 15.3.3)."""
_GATEWAYS_OWN: Final = frozenset({502, 504})
"""A gateway says that it had no answer itself (RFC 9110, sections 15.6.3 and 15.6.5)."""
_MESSAGES_OWN_FAULT: Final = frozenset({400, 413, 415, 422})


class Accepted(NamedTuple):
    """`xaction_id` is Adobe's id of the transaction, by which its support traces a message; None
    where what came as one has no documented shape, and so may be anything.
    """

    xaction_id: str | None


@dataclass(frozen=True, slots=True)
class NoProfile:
    """No contact has this identity."""


@dataclass(frozen=True, slots=True)
class Retryable:
    """`detail` is ours to show, see `words`; `retry_after_seconds` is what the endpoint asked for,
    None when it said nothing. `is_unclear`: nobody can tell from it whether Adobe has carried the
    request out, or still will.
    """

    error: ErrorCode
    detail: str
    http_status: int | None = None
    retry_after_seconds: float | None = None
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class Permanent:
    """`fault` is whose fault the refusal is, by Adobe's words."""

    error: ErrorCode
    detail: str
    http_status: int | None = None
    fault: Fault = "message"


Reply = Accepted | NoProfile | Retryable | Permanent


def classify_collection(
    status: int, headers: Mapping[str, str], body: bytes, key: bytes = b""
) -> Accepted | Retryable | Permanent:
    """The reply of the streaming endpoint to a single message.

    `key`, here and below, is that of the fingerprints of what Adobe said.
    """
    document = _parse(body)
    if status == _TAKEN_EACH:
        many = classify_many(status, headers, body, 1, key)
        return many[0] if isinstance(many, list) else many
    if status == _TAKEN:
        # As an item of a batch: what says that it failed was not taken, whatever stands beside it.
        return _item(document, key, MOST_CHARACTERS, status)
    return _no_success(status, headers, document, key)


def classify_many(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    count: int,
    key: bytes = b"",
) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
    """The reply of the streaming endpoint to a batch of `count` messages.

    A list has one reply for each message, in the order of the request, by which Adobe's items are
    matched. Anything else concerns the request as a whole: with a list that is too short or not
    readable nobody can say which messages were taken, so none counts as delivered.
    """
    document = _parse(body)
    if status != _TAKEN_EACH:
        return _no_success(status, headers, document, key)
    responses = document.get("responses") if isinstance(document, dict) else None
    if not isinstance(responses, list) or len(responses) != count:
        detail = f"a reply to {count} messages without {count} items"
        return Retryable(ErrorCode.ADOBE_UNREADABLE, detail, status, is_unclear=True)
    characters = max(_LEAST_CHARACTERS, _CHARACTERS_OF_A_BATCH // max(1, count))
    return [_item(one, key, characters) for one in responses]


def classify_lookup(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    key: bytes = b"",
    *,
    instead: str = "set upsert_mode to true",
) -> Reply | None:
    """The reply of the profile look-up; None means that the contact exists.

    "Not found" comes in three forms in Adobe's documents: 404 with `{"statusCode": "404"}`, `{}`,
    and an empty `entity`. A 404 or 200 that looks otherwise is somebody else's: that of a common
    gateway has the number 404 and a text beside it.
    """
    document = _parse(body)
    if status in (200, 404):
        return _found(status, document)
    if status == 403:
        return Retryable(
            ErrorCode.LOOKUP_REFUSED,
            "the profile look-up was refused (it is licensed with Real-Time CDP Ultimate, and the "
            f"credential needs a role for it); grant it or {instead}. "
            + shown_words(status, document, key),
            status,
            _retry_after(headers, document),
        )
    if status in _MESSAGES_OWN_FAULT:
        # 422 is said of a missing merge policy or of a graph with too many identities: settings.
        kind = Retryable if status == 422 else Permanent
        return kind(ErrorCode.LOOKUP_REJECTED, shown_words(status, document, key), status)
    return _failure(status, headers, document, key, changes=False)


def _found(status: int, document: Any) -> NoProfile | Retryable | None:
    if isinstance(document, dict):
        if status == 404 and _is_adobes_not_found(document):
            return NoProfile()
        entities = [
            one.get("entity") if isinstance(one, dict) else None for one in document.values()
        ]
        if status == 200 and all(isinstance(one, dict) for one in entities):
            return None if any(entities) else NoProfile()
    return Retryable(
        ErrorCode.ADOBE_UNREADABLE, "the look-up's answer is not one of Adobe's", status
    )


def _is_adobes_not_found(document: dict[str, Any]) -> bool:
    if document.get("statusCode") == "404" or document == {"statusCode": 404}:
        return True
    # Adobe's problem form, common to its services: its `type` is a URL of Adobe's.
    said = document.get("type")
    is_adobes = isinstance(said, str) and said.startswith(_PROBLEM_TYPES)
    return is_adobes and str(document.get("status")) == "404"


def classify_token(
    status: int, headers: Mapping[str, str], body: bytes, key: bytes = b""
) -> Retryable:
    """A reply of the token endpoint that is no token."""
    document = _parse(body)
    detail = shown_words(status, document, key)
    error = token_error_code(body)
    refused_in_body = 200 <= status < 300 and error in _TOKEN_REFUSALS
    refused = status in (400, 401, 403) and error not in _PASSING_TOKEN_ERRORS
    if refused or refused_in_body:
        return Retryable(ErrorCode.TOKEN_REFUSED, detail, status)
    if 300 <= status < 400:
        return Retryable(ErrorCode.ADOBE_REDIRECTED, detail, status)
    return Retryable(ErrorCode.TOKEN_UNAVAILABLE, detail, status, _retry_after(headers, document))


def token_error_code(body: bytes) -> str:
    """The `error` field of a refusal by the token endpoint, such as `invalid_client`."""
    document = _parse(body)
    return _text(document.get("error")) or "" if isinstance(document, dict) else ""


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait by a Retry-After header (seconds or an HTTP date, RFC 9110 §10.2.3)."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # the form of asctime says none, and is in GMT
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _no_success(
    status: int, headers: Mapping[str, str], document: Any, key: bytes
) -> Retryable | Permanent:
    if 200 <= status < 300:
        detail = f"{status}, a success of which Adobe's documentation knows nothing here"
        return Retryable(ErrorCode.ADOBE_UNREADABLE, detail, status, is_unclear=True)
    return _failure(status, headers, document, key)


def _failure(
    status: int,
    headers: Mapping[str, str],
    document: Any,
    key: bytes,
    characters: int = MOST_CHARACTERS,
    *,
    changes: bool = True,
) -> Retryable | Permanent:
    """`changes`: whether the request was one that changes something."""
    detail = shown_words(status, document, key, characters)
    if status in _MESSAGES_OWN_FAULT:
        fault = fault_of(raw_text(document, characters))
        return Permanent(ErrorCode.ADOBE_REJECTED, detail, status, fault)
    error = ErrorCode.ADOBE_UNAVAILABLE
    if status in (401, 403):
        error = ErrorCode.ADOBE_REFUSED
    elif status == 429:
        error = ErrorCode.ADOBE_THROTTLED
    elif 300 <= status < 400:
        error = ErrorCode.ADOBE_REDIRECTED
    elif 400 <= status < 500:
        error = ErrorCode.ADOBE_NOT_FOUND
    is_unclear = changes and status in _GATEWAYS_OWN
    return Retryable(error, detail, status, _retry_after(headers, document), is_unclear)


def _item(
    item: object, key: bytes, characters: int, status: int = 207
) -> Accepted | Retryable | Permanent:
    """What is said of one message in a reply of `status`; `statusCode` or `status` if it failed."""
    if not isinstance(item, dict):
        return Retryable(
            ErrorCode.ADOBE_UNREADABLE, "an item that is no object", status, is_unclear=True
        )
    code = item.get("statusCode")
    if code is None:
        code = item.get("status")
    if code is None:
        return _accepted(item, status)
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:4])
    if code == _TAKEN and not isinstance(code, bool):
        return _accepted(item, status)
    if not isinstance(code, int) or not 300 <= code < 600:
        return Retryable(
            ErrorCode.ADOBE_UNREADABLE, "an item of unknown status", status, is_unclear=True
        )
    return _failure(code, {}, item, key, characters)


def _accepted(document: object, status: int) -> Accepted | Retryable:
    """What says that it was taken, if it has Adobe's own sign."""
    said = document.get("xactionId") if isinstance(document, dict) else None
    shown = shown_transaction(said)
    if shown is not None or (isinstance(said, str) and _XACTION_ID.fullmatch(said)):
        return new_tuple(Accepted, (shown,))
    detail = "a success without a transaction id of Adobe's; something else may have answered"
    return Retryable(ErrorCode.ADOBE_UNREADABLE, detail, status, is_unclear=True)


def _retry_after(headers: Mapping[str, str], document: Any) -> float | None:
    asked = parse_retry_after(headers.get("Retry-After"))
    if asked is None and isinstance(document, list) and document and isinstance(document[0], dict):
        # Profile Access: an array with `retryAfterMs`, a string of milliseconds.
        text = str(document[0].get("retryAfterMs", ""))
        if text.isascii() and text.isdigit():
            return int(text[:12]) / 1000
    return asked


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
