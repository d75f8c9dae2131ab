"""How numbers, times and words stand on a page. Pure."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from markupsafe import Markup, escape

NO_BREAK: Final = "\u00a0"
_PARTS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_MOST_TEXT: Final = 20_000
_HIDDEN: Final = {"\n": "\u21b5", "\t": "\u21e5", "\r": "\u240d"}
_DIRECTIONS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def number(value: float) -> str:
    """A number with commas, and with decimals only where it is small and not whole."""
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2
    said = f"{value:,.{decimals}f}"
    return said.rstrip("0").rstrip(".") if decimals else said


def span(ms: float) -> str:
    """A duration in two units at most: `22 min 9 s`, `1.1 s`, `90 ms`, `6 d 2 h`."""
    ms = max(0, ms)
    if ms < 1000:
        return f"{round(ms)}{NO_BREAK}ms"
    if ms < 10_000 and ms % 1000:
        return f"{ms / 1000:.1f}{NO_BREAK}s"
    seconds = int(ms // 1000)
    told = []
    for size, unit in _PARTS:
        if seconds >= size:
            told.append(f"{seconds // size}{NO_BREAK}{unit}")
            seconds %= size
        elif told:
            break
        if len(told) == 2:
            break
    return " ".join(told)


def rough_span(ms: float) -> str:
    """A duration in one unit: `22 min`."""
    return span(ms).partition(" ")[0]


def relative(at_ms: int, now_ms: int) -> str:
    """A time as seen from now: `5 min ago`, `in 8 s`, `now`."""
    away = now_ms - at_ms
    if abs(away) < 1000:
        return "now"
    return f"{rough_span(away)} ago" if away > 0 else f"in {rough_span(-away)}"


def moment(at_ms: int) -> str:
    """A time in UTC: `2026-11-26 14:08:18 UTC`; a sentence for a time that no calendar has."""
    made = _date(at_ms)
    return "at no time that a calendar has" if made is None else f"{made:%Y-%m-%d %H:%M:%S} UTC"


def machine_moment(at_ms: int) -> str:
    """A time as the attribute `datetime` has it; "" for a time that no calendar has."""
    made = _date(at_ms)
    return "" if made is None else f"{made:%Y-%m-%dT%H:%M:%SZ}"


def clock(at_ms: int) -> str:
    """A time of day in UTC: `14:08:18`."""
    made = _date(at_ms)
    return "-" if made is None else f"{made:%H:%M:%S}"


def _date(at_ms: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def integration_page(integration: str) -> str:
    """The path of an integration's page, whatever it is called."""
    return f"/integrations/{quote(integration, safe='', errors='replace')}"


def plain(text: str, most: int = _MOST_TEXT) -> str:
    """Foreign text as one line that shows what is in it: marks that turn the direction of reading,
    control characters and line ends are seen and do nothing; what is too long is cut, and says so.
    """
    cut = text[:most]
    shown = "".join(map(_seen, cut))
    left = len(text) - len(cut)
    return f"{shown}\u2026 ({number(left)} characters more)" if left else shown


def _seen(character: str) -> str:
    if character in _HIDDEN:
        return _HIDDEN[character]
    if character in _DIRECTIONS or unicodedata.category(character) in (
        "Cc",
        "Cs",
        "Co",
        "Zl",
        "Zp",
    ):
        return f"\\u{ord(character):04x}"
    return character


def with_code(sentence: str) -> Markup:
    """A sentence of ours, in which commands and settings stand between backticks."""
    code = Markup("<code>{}</code>")
    parts = enumerate(sentence.split("`"))
    return Markup("").join(code.format(part) if n % 2 else escape(part) for n, part in parts)
