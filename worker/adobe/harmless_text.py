"""What may be said of Adobe's words: only what is known to be harmless. Pure.

A refusal may quote whatever was sent, in any spelling: a person's address, a secret. No pattern
knows all of these, so nothing of a reply is shown because it looks innocent. Shown are codes of a
known shape, titles and sentences that stand in the tables below (in our spelling, not Adobe's), and
a fingerprint of the rest, by which equal texts are known.

The codes and texts: Adobe's pages "Streaming multiple messages", "Entities endpoint (Profile
Access)", "Flow Service errors" and "Platform troubleshooting guide" (the gateway's codes), the
tests of experience-platform-streaming-connect, and RFC 6749, section 5.2.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_PROCESS_KEY: Final = os.urandom(32)
"""Where no secret is configured, equal texts are known within one process only."""

READ_CHARACTERS: Final = 4000
"""So much of each text is looked at."""
_READ_TEXTS: Final = 16
MOST_CHARACTERS: Final = READ_CHARACTERS * _READ_TEXTS
_FINGERPRINT_BYTES: Final = 5
_MOST_CODES: Final = 3
_MOST_SENTENCES: Final = 3

_TEXT_KEYS: Final = (
    *("error", "error_code", "errorCode", "code", "title", "message", "errorMessage"),
    *("error_description", "detail", "detailed-message", "cause"),
)
_CODE_KEYS: Final = frozenset({"error", "error_code", "errorCode", "code"})
_OAUTH_CODES: Final = frozenset(
    {
        *("access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope"),
        *("invalid_token", "insufficient_scope", "server_error", "temporarily_unavailable"),
        *("unauthorized_client", "unsupported_grant_type", "unsupported_response_type"),
    }
)
_GATEWAY_CODE: Final = re.compile(r"[0-9]{6}")
"""Of Adobe's gateway: the HTTP status, and three digits more (`403025`)."""
_SERVICE_CODE: Final = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"(?:DCVS|MAPPER|CONNECTOR|INGEST|FLOW|XDM)-[0-9]{3,5}(?:-[1-5][0-9]{2})?"
    r"|UPS-(?:ACC|ACCSDK)-[0-9]{7}"
    r")(?![A-Za-z0-9_-])"
)
_TITLES: Final[Mapping[str, str]] = {
    one.casefold(): one
    for one in (
        *("Authorization", "Bad Gateway", "Bad Request", "Conflict", "Forbidden"),
        *("Gateway Timeout", "Internal Server Error", "Invalid XDM Message Format"),
        *("Invalid Input", "Method Not Allowed", "Not Found", "Payload Too Large"),
        *("Resource not found", "Service Unavailable", "Too Many Requests", "Unauthorized"),
        *("Unprocessable Entity", "Unsupported Media Type"),
    )
}
_SENTENCES: Final = (
    # Of streaming ingestion.
    "unknown xdm format",
    "absent or wrong ims org",
    "the 'header' field is mandatory",
    "message has an invalid",
    "message cannot be validated",
    "required key",
    "extraneous key",
    "expected type",
    "is not a valid enum value",
    "does not match pattern",
    "wrong schema",
    "wrong dataset",
    "schema not found",
    "dataset not found",
    "schema does not exist",
    "dataset does not exist",
    "invalid schema reference",
    "invalid dataset",
    "flow not found",
    "invalid flow",
    "inlet not found",
    "request entity too large",
    # Of tokens and the gateway.
    "invalid client_id parameter",
    "invalid client_secret parameter",
    "ims service token is empty",
    "oauth token is not valid",
    "oauth token is missing",
    "api key is required",
    "api key is invalid",
    "profile is not valid",
    # Of the look-up.
    "ims org is not provisioned",
    "merge policy",
    "too many requests",
)
_TRANSACTION: Final = re.compile(
    r"[12][0-9]{12}(?::[0-9]{1,6}){2,3}"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?:-[0-9]{1,6})?"
)
_SHOWN_WORDS: Final = re.compile(
    rf"HTTP [1-9][0-9]{{2}}(?:: (?:{_SERVICE_CODE.pattern}|{_GATEWAY_CODE.pattern}"
    rf"|{'|'.join(map(re.escape, (*_OAUTH_CODES, *_TITLES.values(), *_SENTENCES)))}))*"
    rf"(?: \(text [0-9a-f]{{{2 * _FINGERPRINT_BYTES}}}\))?"
    rf"(?: \(transaction (?:{_TRANSACTION.pattern})\))?"
)
_PLAIN_WORD: Final = re.compile(r"(?<!\S)[^\W\d_]+[.,:;]?(?!\S)")


def shown_transaction(xaction_id: object) -> str | None:
    """Adobe's id of a transaction if it has a documented shape, with 64 characters at most.

    "Streaming multiple messages" has milliseconds and counters (`1565650704337:2124:92:3`), the
    Kafka sink of Adobe's a UUID and an index. Whatever else is in that place is not shown.
    """
    if isinstance(xaction_id, str) and _TRANSACTION.fullmatch(xaction_id):
        return xaction_id
    return None


def raw_text(document: Any, characters: int) -> str:
    """All that a reply says in words, to be judged and never to be shown; as many `characters` of
    it are read.
    """
    return " ".join(text for _, text in _texts(document, characters))


def shown_words(status: int, document: Any, key: bytes, characters: int = MOST_CHARACTERS) -> str:
    """What an operator is shown of a refusal; under 300 characters, whatever the reply is.

    `key` is that of the fingerprint: without the fleet's secret who reads it can't test guesses of
    what the text quoted. As many `characters` are read.
    """
    codes: dict[str, None] = {}
    sentences: dict[str, None] = {}
    title = ""
    unknown: list[str] = []
    for name, text in _texts(document, characters):
        folded = text.casefold()
        found = _SERVICE_CODE.findall(text) + _code_in(name, text, status)
        said = [one for one in _SENTENCES if one in folded]
        if name == "title" and not title and folded in _TITLES:
            title = _TITLES[folded]
        elif name != "type" and text not in found and folded not in said:
            unknown.append(text)
        codes.update(dict.fromkeys(found))
        sentences.update(dict.fromkeys(said))
    parts = [f"HTTP {status}", *list(codes)[:_MOST_CODES]]
    parts += [title] if title else []
    parts += list(sentences)[:_MOST_SENTENCES]
    shown = ": ".join(parts)
    if unknown:
        shown += f" (text {fingerprint(' '.join(unknown), key)})"
    transaction = shown_transaction(document.get("xactionId") if _is_object(document) else None)
    return f"{shown} (transaction {transaction})" if transaction else shown


def are_adobes_words(detail: str) -> bool:
    """Whether a detail consists of what `shown_words` makes of a refusal, and of nothing else."""
    return _SHOWN_WORDS.fullmatch(detail) is not None


def fingerprint(text: str, key: bytes) -> str:
    """The fingerprint of Adobe's words: ten hex digits, equal for texts that differ only in what is
    no plain word: values, numbers, what stands in quotes or brackets.
    """
    words = " ".join(_PLAIN_WORD.findall(text.casefold()))
    hashed = hashlib.blake2b(
        words.encode(errors="surrogatepass"),
        key=hashlib.blake2b(key).digest() if key else _PROCESS_KEY,
        digest_size=_FINGERPRINT_BYTES,
        person=b"adobe-words",
    )
    return hashed.hexdigest()


def _code_in(name: str, text: str, status: int) -> list[str]:
    is_gateways = _GATEWAY_CODE.fullmatch(text) is not None and text.startswith(str(status))
    is_code = text in _OAUTH_CODES or (is_gateways and name != "error")
    return [text] if name in _CODE_KEYS and is_code else []


def _texts(document: Any, characters: int) -> Iterator[tuple[str, str]]:
    """The texts in Adobe's own fields, with the fields' names: bounded in number and length."""
    if isinstance(document, list) and document:
        document = document[0]
    if not _is_object(document):
        return
    report = document.get("report")
    sources = [document, report] if _is_object(report) else [document]
    left = _READ_TEXTS
    for source in sources:
        for name in (*_TEXT_KEYS, "type"):
            text = source.get(name)
            if not characters:
                return
            if isinstance(text, int) and not isinstance(text, bool) and name in _CODE_KEYS:
                text = str(text)
            if isinstance(text, str) and text and left:
                text = text[: min(READ_CHARACTERS, characters)]
                left -= 1
                characters -= len(text)
                yield name, text


def _is_object(document: Any) -> bool:
    return isinstance(document, dict)
