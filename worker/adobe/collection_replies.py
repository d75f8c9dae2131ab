"""Replies of the streaming endpoint (the collection service), each classified once. Pure.

Status codes and bodies: Adobe's pages "Streaming multiple messages" and "HTTP API streaming
connection" in Experience Platform's documentation, and the specification streaming-ingestion of
AdobeDocs/experience-platform-apis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from worker.adobe.failed_replies import failed, parsed
from worker.adobe.harmless_text import MOST_CHARACTERS, shown_transaction
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.counting import counted
from worker.fast_tuples import new_tuple
from worker.reasons import ErrorCode

_XACTION_ID: Final = re.compile(r"[0-9A-Za-z:._-]{1,128}")
"""Adobe's own sign that it has taken a message; whatever else says 200 has not."""
_CHARACTERS_OF_A_BATCH: Final = 200_000
_LEAST_CHARACTERS: Final = 200
"""Read of all items of a batch together, and of each at least: a thousand with long texts would
keep all other customers waiting."""
_TAKEN: Final = 200
_TAKEN_EACH: Final = 207
"""The only successes of streaming ingestion that Adobe documents, of one message and of several
(its specification streaming-ingestion). Another may be anybody's: 202 says of itself that nothing
was done yet (RFC 9110, section 15.3.3)."""


def classify_collection(
    status: int, headers: Mapping[str, str], body: bytes, key: bytes = b""
) -> Accepted | Retryable | Permanent:
    """The reply of the streaming endpoint to a single message.

    `key`, here and below, is that of the fingerprints of what Adobe said.
    """
    document = parsed(body)
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
    document = parsed(body)
    if status != _TAKEN_EACH:
        return _no_success(status, headers, document, key)
    responses = document.get("responses") if isinstance(document, dict) else None
    if not isinstance(responses, list) or len(responses) != count:
        detail = f"a reply to {counted(count, 'message')} without {counted(count, 'item')}"
        return Retryable(ErrorCode.ADOBE_UNREADABLE, detail, status, is_unclear=True)
    characters = max(_LEAST_CHARACTERS, _CHARACTERS_OF_A_BATCH // max(1, count))
    return [_item(one, key, characters) for one in responses]


def _no_success(
    status: int, headers: Mapping[str, str], document: Any, key: bytes
) -> Retryable | Permanent:
    if 200 <= status < 300:
        detail = f"{status}, a success of which Adobe's documentation knows nothing here"
        return Retryable(ErrorCode.ADOBE_UNREADABLE, detail, status, is_unclear=True)
    return failed(status, headers, document, key)


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
        return _accepted(item, status, status)
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:4])
    if code == _TAKEN and not isinstance(code, bool):
        return _accepted(item, status, _TAKEN)
    if not isinstance(code, int) or not 300 <= code < 600:
        return Retryable(
            ErrorCode.ADOBE_UNREADABLE, "an item of unknown status", status, is_unclear=True
        )
    return failed(code, {}, item, key, characters)


def _accepted(document: object, status: int, own_status: int) -> Accepted | Retryable:
    """What says that it was taken, if it has Adobe's own sign; in a reply of `status`."""
    said = document.get("xactionId") if isinstance(document, dict) else None
    shown = shown_transaction(said)
    if shown is not None or (isinstance(said, str) and _XACTION_ID.fullmatch(said)):
        return new_tuple(Accepted, (shown, own_status))
    detail = "a success without a transaction id of Adobe's; something else may have answered"
    return Retryable(ErrorCode.ADOBE_UNREADABLE, detail, status, is_unclear=True)
