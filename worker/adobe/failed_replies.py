"""Replies that say that a request failed, whichever endpoint of Adobe's they are from, and in which
words an operator is told why no reply came. Pure.

Statuses: Adobe's pages "HTTP API streaming connection" and "Entities endpoint (Profile Access)" in
Experience Platform's documentation, and RFC 9110.

Nothing of an error's own text is told: it may hold the URL, and that a contact's identity, or what
the other side has chosen to say.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
import orjson

from worker.adobe.guarded_resolver import PrivateAddress
from worker.adobe.harmless_text import MOST_CHARACTERS, raw_text, shown_words
from worker.adobe.replies import Permanent, Retryable, fault_of
from worker.adobe.response_bounds import ReplyTooLong
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
    """What a failed request comes to by its reply's `status`: `Permanent` where the message itself
    is at fault.

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
    """The JSON of a reply's body; None for what is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


_BY_NUMBER: Final = {
    errno.ECONNREFUSED: "connection refused: nothing listens there, or a firewall says so",
    errno.ECONNRESET: "connection reset by the other side",
    errno.EPIPE: "connection closed by the other side",
    errno.ECONNABORTED: "connection aborted",
    errno.ENETUNREACH: "no route to the network of the host",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ETIMEDOUT: "the host did not answer on the network",
    errno.EMFILE: "this worker has no more files to open: raise its limit of open files",
    errno.ENFILE: "this machine has no more files to open: raise its limit of open files",
    errno.EADDRNOTAVAIL: "this machine has no free port for another connection",
}
Sentences = tuple[tuple[type[Exception], str], ...]

_BEFORE_NUMBERS: Final[Sentences] = (
    (PrivateAddress, "the host's name leads to a private address, which is not allowed"),
    (
        ssl.SSLCertVerificationError,
        "TLS certificate not accepted: unknown, expired, or another's",
    ),
    (ssl.SSLError, "TLS could not be agreed upon with the other side"),
    (aiohttp.ClientConnectorDNSError, "the host's name is not resolved"),
)
_AFTER_NUMBERS: Final[Sentences] = (
    (aiohttp.ServerDisconnectedError, "connection closed by the other side before a reply"),
    (aiohttp.ClientConnectionResetError, "connection closed by the other side"),
    (ReplyTooLong, "the reply was longer than any of Adobe's, and was cut off"),
    (aiohttp.ClientPayloadError, "the reply broke off, or could not be unpacked"),
    (aiohttp.ClientResponseError, "what came was no reply of HTTP"),
    (aiohttp.ClientConnectorError, "no connection could be made"),
    (OSError, "the connection broke"),
    (ValueError, "the request could not be written: its URL or a header is not usable"),
)
"""Of each table the first that fits is told."""


def sentence_of(error: Exception) -> str:
    """What has happened to a request that got no reply."""
    causes = _causes(error)
    return (
        _by_kind(causes, _BEFORE_NUMBERS)
        or next((_BY_NUMBER[one] for one in map(_number, causes) if one in _BY_NUMBER), None)
        or _by_kind(causes, _AFTER_NUMBERS)
        or "the connection broke"
    )


def _by_kind(causes: list[BaseException], sentences: Sentences) -> str | None:
    for kind, sentence in sentences:
        if any(isinstance(one, kind) for one in causes):
            return sentence
    return None


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what it was raised from, outermost first."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__
    return causes
