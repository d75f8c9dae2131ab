"""Replies that say that a request failed, whichever endpoint of Adobe's they are from. Pure.

Statuses: Adobe's pages "HTTP API streaming connection" and "Entities endpoint (Profile Access)" in
Experience Platform's documentation, and RFC 9110.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from worker.adobe.harmless_text import MOST_CHARACTERS, raw_text, shown_words
from worker.adobe.refusal_texts import fault_of
from worker.adobe.replies import Permanent, Retryable
from worker.reasons import ErrorCode

_GATEWAYS_OWN: Final = frozenset({502, 504})
"""A gateway says that it had no answer itself (RFC 9110, sections 15.6.3 and 15.6.5)."""
MESSAGES_OWN_FAULT: Final = frozenset({400, 413, 415, 422})
"""The statuses that say that the request itself is wrong."""


def failed(
    status: int,
    headers: Mapping[str, str],
    document: Any,
    key: bytes,
    characters: int = MOST_CHARACTERS,
    *,
    changes: bool = True,
) -> Retryable | Permanent:
    """What a reply of such a `status` comes to: `Permanent` where the message itself is at fault.

    `document` is the parsed body, or an item of it; `key` is that of the fingerprints of what Adobe
    said, of which at most `characters` are read. `changes`: whether the request was one that
    changes something.
    """
    detail = shown_words(status, document, key, characters)
    if status in MESSAGES_OWN_FAULT:
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
    return Retryable(error, detail, status, asked_wait(headers, document), is_unclear)


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


def asked_wait(headers: Mapping[str, str], document: Any) -> float | None:
    """Seconds for which the endpoint asks to be left alone, by a header or by its body; None when
    it asked for nothing.
    """
    asked = parse_retry_after(headers.get("Retry-After"))
    if asked is None and isinstance(document, list) and document and isinstance(document[0], dict):
        # Profile Access: an array with `retryAfterMs`, a string of milliseconds.
        text = str(document[0].get("retryAfterMs", ""))
        if text.isascii() and text.isdigit():
            return int(text[:12]) / 1000
    return asked


def parsed(body: bytes) -> Any:
    """The JSON of a body; None for what is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
