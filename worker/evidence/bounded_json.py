"""Reads single values of JSON that anybody may have written: each has a type and a bound. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

MOST_ID_CHARACTERS: Final = 256
EARLIEST_MS: Final = -62_135_596_800_000
"""The beginning of the year 1, before which no event can be."""
_LARGEST: Final = 2**53
_HEX: Final = re.compile(r"[0-9a-f]*", re.ASCII)

Json = Mapping[str, Any]


class Unreadable(ValueError):
    """Bytes of the stream are not what they should be; the text says what, and quotes nothing."""


def object_of(line: bytes) -> dict[str, Any]:
    """The JSON object that a line is. Raises `Unreadable`."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise Unreadable("a line is not JSON") from None
    if not isinstance(document, dict):
        raise Unreadable("a line is not a JSON object")
    return document


def text_in(said: Json, name: str, most: int = MOST_ID_CHARACTERS) -> str:
    """The text by `name` in a JSON object, which may be empty. Raises `Unreadable`."""
    value = said.get(name)
    if type(value) is not str or len(value) > most:
        raise Unreadable(f"{name} is not a text of at most {most} characters")
    return value


def optional_text_in(said: Json, name: str) -> str | None:
    """The text by `name` in a JSON object, or None. Raises `Unreadable`."""
    return None if said.get(name) is None else text_in(said, name)


def number_in(said: Json, name: str) -> int:
    """The whole number from 0 by `name` in a JSON object, one that JSON carries exactly. Raises
    `Unreadable`.
    """
    value = said.get(name)
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise Unreadable(f"{name} is not a whole number from 0")
    return value


def optional_number_in(said: Json, name: str) -> int | None:
    """The whole number from 0 by `name` in a JSON object, or None. Raises `Unreadable`."""
    return None if said.get(name) is None else number_in(said, name)


def optional_time_in(said: Json, name: str) -> int | None:
    """The moment by `name` in a JSON object, in ms since 1970 or before, or None: an event may be
    of any time. Raises `Unreadable`.
    """
    value = said.get(name)
    if value is None or (type(value) is int and EARLIEST_MS <= value <= _LARGEST):
        return value
    raise Unreadable(f"{name} is no time in ms since 1970")


def hex_in(said: Json, name: str, *lengths: int) -> str:
    """The hexadecimal digits by `name` in a JSON object, lower-case, as many as one of `lengths`.
    Raises `Unreadable`.
    """
    value = said.get(name)
    if type(value) is not str or len(value) not in lengths or not _HEX.fullmatch(value):
        raise Unreadable(f"{name} is not hexadecimal of the right length")
    return value
