"""Replies of the token endpoint that are no token, each classified once. Pure.

Codes of errors: RFC 6749, section 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.adobe.failed_replies import asked_wait, parsed
from worker.adobe.harmless_text import shown_words
from worker.adobe.replies import Retryable
from worker.reasons import ErrorCode

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


def classify_token(
    status: int, headers: Mapping[str, str], body: bytes, key: bytes = b""
) -> Retryable:
    """A reply of the token endpoint that is no token.

    `key` is that of the fingerprints of what Adobe said.
    """
    document = parsed(body)
    detail = shown_words(status, document, key)
    error = token_error_code(body)
    refused_in_body = 200 <= status < 300 and error in _TOKEN_REFUSALS
    refused = status in (400, 401, 403) and error not in _PASSING_TOKEN_ERRORS
    if refused or refused_in_body:
        return Retryable(ErrorCode.TOKEN_REFUSED, detail, status)
    if 300 <= status < 400:
        return Retryable(ErrorCode.ADOBE_REDIRECTED, detail, status)
    return Retryable(ErrorCode.TOKEN_UNAVAILABLE, detail, status, asked_wait(headers, document))


def token_error_code(body: bytes) -> str:
    """The `error` field of a refusal by the token endpoint, such as `invalid_client`."""
    document = parsed(body)
    said = document.get("error") if isinstance(document, dict) else None
    return said if isinstance(said, str) else ""
