"""Masks what must never be written down: e-mail addresses, tokens, passwords. Pure.

A second line of defence. The first is that nothing personal or secret is handed to a log or an
error; this one catches what comes from outside, such as the text of somebody else's error.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_LOCAL: Final = r"[^\s@<>\"'(),;:=/\[\]]"
"""A character of what stands before the `@` of an address. Whole runs of these are looked at, each
once (that is what `(?<!` and `++` say), or a long text would cost its length many times over."""
_UUID_SHAPE: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
"""With a counter behind it Adobe calls a transaction by one."""
_PATTERNS: Final = (
    (
        re.compile(
            rf"(?<!{_LOCAL})(?:{_LOCAL}++@|(?:%40)*+(?:(?!%40){_LOCAL})++%40)[^\s@<>\"'(),;:/\[\]]{{1,255}}"
        ),
        "<email>",
    ),
    (re.compile(r"eyJ[\w-]{5,}(?:\.[\w-]+){0,2}"), "<token>"),
    (re.compile(r"(?i)\b(bearer)\s+[^\s\"',;]+"), r"\1 <token>"),
    (
        re.compile(
            r"(?i)\b(client_secret|access_token|api_key|password)"
            r"(\\?[\"']?\s{0,3}[:=]\s{0,3}\\?[\"']?)[^\s\"'&,;\\]+"
        ),
        r"\1\2<secret>",
    ),
    (
        re.compile(rf"\b(?!{_UUID_SHAPE}(?:-[0-9]{{1,6}})?(?![\w-]))[A-Za-z0-9_-]{{40,}}\b"),
        "<long value>",
    ),
)
_TRACES: Final = re.compile(r"@|%40|eyJ|(?i:bearer|client_secret|access_token|api_key|password)")
_LONG_CHARACTERS: Final = 40
_LONG: Final = re.compile(rf"[A-Za-z0-9_-]{{{_LONG_CHARACTERS}}}")
"""One of these two is in every text that a pattern matches; most texts have none."""
_SMALL_TRACES: Final = (
    *("@", "%40", "eyj", "bearer"),
    *("client_secret", "access_token", "api_key", "password"),
)
"""`_TRACES` of an ASCII text in small letters, which are found there in a fraction of the time."""
_ID_CHARACTERS: Final = 64
_MOST_DIGITS: Final = 6
_RANDOM_ID: Final = re.compile(
    r"(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})"
    r"|[0-9A-HJKMNP-TV-Z]{26}",
    re.ASCII,
)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_COUNTER: Final = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+){0,7}", re.ASCII)
_SEPARATOR: Final = re.compile("[-_]")
_HEX: Final = re.compile(r"(?=[0-9a-f]*[0-9])[0-9a-f]{1,16}", re.ASCII)
"""Not of digits alone, which are counted before."""
_WORD: Final = re.compile(r"[A-Za-z]{1,6}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_KEPT_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
_KEPT_DIGEST: Final = re.compile(r"sha256-[0-9a-f]{32}", re.ASCII)
_LONG_NUMBER: Final = re.compile(r"[0-9]{7}", re.ASCII)
_URL_PASSWORD: Final = re.compile(r"(?i)((?<![a-z0-9+.-])[a-z0-9+.-]++://)[^\s/@]*@")


def redact(text: str) -> str:
    """`text` with e-mail addresses, tokens, secrets and credentials in URLs masked."""
    if not _may_match(text):
        return text
    text = _URL_PASSWORD.sub(r"\1<credentials>@", text)
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return text


def _may_match(text: str) -> bool:
    if len(text) >= _LONG_CHARACTERS and _LONG.search(text) is not None:
        return True
    if not text.isascii():
        return _TRACES.search(text) is not None
    return any(map(text.lower().__contains__, _SMALL_TRACES))


def shown_id(text: str) -> str | None:
    """An id that a producer could fill with anything, if it tells of nobody by its shape; else
    None.

    Such are UUIDs, hexadecimal and Crockford's base 32 of random ids, and counters with one word of
    at most six letters and six digits (`ev-0001`). A full name, an address or a telephone number
    has none of these shapes.
    """
    # Nearly all are UUIDs, and small letters alone are looked at in half of the time.
    if _UUID.fullmatch(text) is not None or _RANDOM_ID.fullmatch(text) is not None:
        return text
    if len(text) > _ID_CHARACTERS or _COUNTER.fullmatch(text) is None:
        return None
    words = digits = 0
    for part in _SEPARATOR.split(text):
        if part.isdigit():
            digits += len(part)
        elif _HEX.fullmatch(part) is None:
            words += 1
            if _WORD.fullmatch(part) is None:
                return None
    return text if words <= 1 and digits <= _MOST_DIGITS else None


def shown_name(text: str) -> str | None:
    """The name of a thing that somebody else chose, if it is one by its shape; else None."""
    return text if _NAME.fullmatch(text) is not None and not _LONG_NUMBER.search(text) else None


def shown_integration(text: str) -> str | None:
    """The id of an integration that somebody has typed, if it is one by its shape; else None. One
    without any letter and with seven digits or more may be a telephone number.
    """
    if _NAME.fullmatch(text) is None:
        return None
    digits = sum(one.isdigit() for one in text)
    return text if digits <= _MOST_DIGITS or any(one.isalpha() for one in text) else None


def kept_id(text: str) -> str:
    """A producer's id of its message, as it may stand in a header: one with a blank, an `@`, a long
    number or more than 128 characters becomes its SHA-256, which the producer can compute, too. One
    that is kept already stays as it is.
    """
    if _KEPT_DIGEST.fullmatch(text) is not None:
        return text  # of an earlier pass, whatever its digits look like
    is_id = _KEPT_ID.fullmatch(text) is not None
    if is_id and (_RANDOM_ID.fullmatch(text) or not _LONG_NUMBER.search(text)):
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"sha256-{digest[:32]}"
