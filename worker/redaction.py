"""Masks what must never be written down: e-mail addresses, tokens, passwords. Pure.

A second line of defence. The first is that nothing personal or secret is handed to a log or an
error; this one catches what comes from outside, such as the text of somebody else's error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

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
_PATTERN_CHARACTERS: Final = 512
"""No pattern needs more of a text than this to be known by."""
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


def mask_values(text: str, values: Iterable[str], most: int | None = None) -> str:
    """`text` without these values, as they are or percent-encoded, in any case, as whole words.

    For the text of whoever was sent a value, and may quote it: a customer's number looks like
    nothing that `redact` could know. Of a text of more than `most` characters only those are looked
    at, and less is returned: what the cut may have made of a value would not be known any more.
    """
    forms = {form for one in values if one for form in (one, quote(one, safe=""))}
    shown = text[:most]
    end = len(shown)
    if end < len(text):
        end = max(0, end - max(_PATTERN_CHARACTERS, *map(len, forms), 0))
    folded = _folded(shown)
    # Nearly none is quoted, and a pattern is dear: first a cheap look, then one pass for all.
    quoted = sorted((one for one in forms if _folded(one) in folded), key=len, reverse=True)
    if not quoted:
        return shown[:end]
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, quoted))})(?!\w)"
    kept: list[str] = []
    at = 0
    for match in re.finditer(pattern, shown, re.IGNORECASE):
        if match.start() >= end:
            break
        kept += (shown[at : match.start()], "<value>")
        at = match.end()
    return "".join(kept) + shown[at : max(at, end)]


def _folded(text: str) -> str:
    """Equal for whatever `re.IGNORECASE` takes for equal: it knows no dots above an i."""
    return text.casefold().replace("\u0307", "").replace("\u0131", "i")
