"""Makes a case smaller as long as it shows the same fault. Pure but for the clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from devtools.fuzz.target import Case

_MOST_TRIES: Final = 5_000
_MOST_SECONDS: Final = 20.0
_PLAIN_UP_TO: Final = 200
"""Characters of a text up to which each is tried to be made plain."""


def reduced(case: Case, is_faulty: Callable[[Case], bool]) -> Case:
    """The smallest case found that `is_faulty`, within some thousand tries and some seconds."""
    tries = 0
    until = time.process_time() + _MOST_SECONDS
    has_shrunk = True
    while has_shrunk:
        has_shrunk = False
        for candidate in _smaller(case):
            tries += 1
            if tries > _MOST_TRIES or time.process_time() > until:
                return case
            if is_faulty(candidate):
                case, has_shrunk = candidate, True
                break
    return case


def _smaller(value: Any) -> Iterator[Any]:
    """Values with less in them than `value`, the boldest first; all of the same type, in tuples all
    of the same length.
    """
    for make in _MAKERS.get(type(value), ()):
        yield from make(value)


def _smaller_flag(value: bool) -> Iterator[bool]:
    if value:
        yield False


def _smaller_number(value: int) -> Iterator[int]:
    if value < 0:
        yield -value
    for less in (0, value // 2, value - 1):
        if 0 <= less < value:
            yield less


def _smaller_document(value: bytes) -> Iterator[bytes]:
    """Where it is one of JSON, which would not be one any more without a piece of its text."""
    if value[:1] not in (b"{", b"["):
        return
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return
    for less in _smaller(document):
        text = json.dumps(less, separators=(",", ":")).encode()
        if len(text) < len(value):
            yield text


def _smaller_object(value: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
    for kept in _without_pieces(list(value)):
        yield {key: value[key] for key in kept}
    for key, one in value.items():
        for less in _smaller(one):
            yield {**value, key: less}


def _smaller_parts(value: Any) -> Iterator[Any]:
    """A list or tuple in which one part is smaller."""
    whole = type(value)
    for index, one in enumerate(value):
        for less in _smaller(one):
            yield whole((*value[:index], less, *value[index + 1 :]))


def _without_pieces(value: Any) -> Iterator[Any]:
    """A text or list without its halves, then its quarters, and so on down to single parts."""
    size = len(value)
    while size:
        for at in range(0, len(value), size):
            yield value[:at] + value[at + size :]
        size //= 2


def _plainer(value: Any) -> Iterator[Any]:
    """A short text with a plain character in the place of another."""
    plain = b"0" if isinstance(value, bytes) else "0"
    if len(value) <= _PLAIN_UP_TO:
        for at in range(len(value)):
            if value[at : at + 1] != plain:
                yield value[:at] + plain + value[at + 1 :]


_MAKERS: Final[dict[type, tuple[Callable[[Any], Iterator[Any]], ...]]] = {
    bool: (_smaller_flag,),
    int: (_smaller_number,),
    bytes: (_smaller_document, _without_pieces, _plainer),
    str: (_without_pieces, _plainer),
    list: (_without_pieces, _smaller_parts),
    tuple: (_smaller_parts,),
    dict: (_smaller_object,),
}
