"""Masks what must never be written down: e-mail addresses, tokens, passwords. Pure.

A second line of defence. The first is that nothing personal or secret is handed to a log or an
error; this one catches what comes from outside, such as the text of somebody else's error.
"""

from __future__ import annotations

import re
from typing import Final

_PATTERNS: Final = (
    (re.compile(r"[^\s@<>\"'(),;:=/\[\]]{1,128}(?:@|%40)[^\s@<>\"'(),;:/\[\]]{1,255}"), "<email>"),
    (re.compile(r"eyJ[\w-]{5,}(?:\.[\w-]+){0,2}"), "<token>"),
    (re.compile(r"(?i)\b(bearer)\s+[^\s\"',;]+"), r"\1 <token>"),
    (
        re.compile(
            r"(?i)\b(client_secret|access_token|api_key|password)"
            r"(\\?[\"']?\s{0,3}[:=]\s{0,3}\\?[\"']?)[^\s\"'&,;\\]+"
        ),
        r"\1\2<secret>",
    ),
    (re.compile(r"\b[A-Za-z0-9_-]{40,}\b"), "<long value>"),
)
_TRACES: Final = re.compile(
    r"@|%40|eyJ|(?i:bearer|client_secret|access_token|api_key|password)|[A-Za-z0-9_-]{40}"
)
"""One of these is in every text that a pattern matches; most texts have none."""
_ID_CHARACTERS: Final = 64
_URL_PASSWORD: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s/@]*@")


def redact(text: str) -> str:
    """`text` with e-mail addresses, tokens, secrets and credentials in URLs masked."""
    if _TRACES.search(text) is None:
        return text
    text = _URL_PASSWORD.sub(r"\1<credentials>@", text)
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return text


def shown_id(text: str) -> str | None:
    """An id that a producer could fill with anything, if it has an id's shape; else None."""
    plausible = text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    return text if plausible and len(text) <= _ID_CHARACTERS else None
