"""Reads the properties of a message, whatever they are.

A content header comes from outside: its text may not be UTF-8, its tables may be nested a thousand
deep. pamqp raises for such, and aiormq then ends the connection: the broker would deliver the
message again to the next session, and with each of these sessions all that is in hand comes back.
So nothing here raises past its message, and the bounds of `table_reader` hold. What can't be read
is left out; where that is a header, the properties are `UnreadableProperties`, since nobody knows
what was tried already.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from struct import Struct
from typing import Any, Final

from pamqp.commands import Basic

from worker.wire.table_reader import (
    BROKEN,
    LENGTH,
    MAX_VALUES,
    Budget,
    Values,
    end_of,
    extent,
    moment,
)

# AMQP 0-9-1 specification, section 4.2.6.1: class, weight and body size, then a flag for each
# property, then the properties in that order.
START: Final = Struct(">HHQ")
_FLAGS: Final = Struct(">H")
_FLAGS_AT: Final = START.size
_PROPERTIES_AT: Final = _FLAGS_AT + _FLAGS.size
_HEADERS: Final = 1 << 13
_HEADERS_BYTE: Final = _HEADERS >> 8
_UNKNOWN_FLAGS: Final = 0b11
_NUMBERS: Final = (b"l", b"L")
"""Kinds of a 64-bit number, see `table_reader`."""


Properties = Basic.Properties
"""What RabbitMQ carries beside a body: the one class of pamqp that the other rooms know."""
PERSISTENT: Final = 2
"""The delivery mode of a message that is to be on disk before it is confirmed."""


class UnreadableProperties(Properties):
    """Properties of a message of whose headers some, or all, can't be read: what is left."""


def has_headers(content_header: bytes) -> bool:
    """Whether a message with that encoded content header has any; never raises."""
    return len(content_header) < _PROPERTIES_AT or content_header[_FLAGS_AT] & _HEADERS_BYTE != 0


def read_properties(content_header: bytes, budget: Budget | None = None) -> Properties:
    """The properties of an encoded content header, as far as they can be read; never raises. What
    values it has are taken off the `budget` that it shares with others, if any.
    """
    found: dict[str, Any] = {}
    try:
        is_readable = _read_into(found, content_header, budget)
        return Properties(**found) if is_readable else UnreadableProperties(**found)
    except Exception:  # whatever it is, it concerns this message alone
        return UnreadableProperties()


def number_in_headers(content_header: bytes, name: str) -> int | None:
    """A header that the broker itself has put in, by its name: a 64-bit number. However many others
    there are, and whatever they are, none is read. None where it is not there; never raises.
    """
    try:
        return _number_in(content_header, name.encode())
    except BROKEN:
        return None


def _number_in(data: bytes, name: bytes) -> int | None:
    flags = _FLAGS.unpack_from(data, _FLAGS_AT)[0]
    if flags & _UNKNOWN_FLAGS or not flags & _HEADERS:
        return None
    at = _PROPERTIES_AT
    for _, flag, _read in _PROPERTIES:
        if flag == _HEADERS:
            break
        if flags & flag:
            at += 1 + data[at]  # the two before it are texts
    end = end_of(data, at, len(data))
    at += LENGTH.size
    while at < end:
        value_at = at + 1 + data[at]
        following = extent(data, value_at, end)
        if data[at + 1 : value_at] == name and data[value_at : value_at + 1] in _NUMBERS:
            return int.from_bytes(data[value_at + 1 : following], signed=True)
        at = following
    return None


def _read_into(found: dict[str, Any], data: bytes, budget: Budget | None) -> bool:
    """Whether the headers, if there are any, could all be read."""
    flags = _FLAGS.unpack_from(data, _FLAGS_AT)[0]
    if flags & _UNKNOWN_FLAGS:
        return not flags & _HEADERS
    at = _PROPERTIES_AT
    is_readable = True
    for name, flag, read in _PROPERTIES:
        if not flags & flag:
            continue
        try:
            if flag == _HEADERS:
                found[name], at, is_readable = _headers(data, at, budget)
                continue
            value, at = read(data, at)
        except BROKEN:
            # Nobody knows where the next one begins.
            return is_readable and (flag < _HEADERS or not flags & _HEADERS)
        if value is not None:
            found[name] = value
    return is_readable


def _headers(data: bytes, at: int, budget: Budget | None) -> tuple[dict[str, Any], int, bool]:
    """The headers, their end, and whether these are all. One that can't be read is left out."""
    if budget is None:
        return _headers_of(Values(data), data, at)
    most = min(MAX_VALUES, budget.left)
    values = Values(data, most)
    try:
        return _headers_of(values, data, at)
    finally:
        budget.left -= most - values.left


def _headers_of(values: Values, data: bytes, at: int) -> tuple[dict[str, Any], int, bool]:
    end = end_of(data, at, len(data))
    at += LENGTH.size
    headers: dict[str, Any] = {}
    is_whole = True
    while at < end:
        value_at = at + 1 + data[at]
        try:
            following = extent(data, value_at, end)
        except BROKEN:
            return headers, end, False
        try:
            name = data[at + 1 : value_at].decode()
            headers[name] = values.read(value_at, following, 0)[0]
        except BROKEN:
            is_whole = False
            if not values.left:
                break
        at = following
    return headers, end, is_whole


def _short(data: bytes, at: int) -> tuple[str | None, int]:
    """A short text and its end; None for what is not UTF-8."""
    end = at + 1 + data[at]
    if end > len(data):
        raise ValueError("a text that ends too soon")
    try:
        return data[at + 1 : end].decode(), end
    except UnicodeDecodeError:
        return None, end


def _octet(data: bytes, at: int) -> tuple[int, int]:
    return data[at], at + 1


def _mode(data: bytes, at: int) -> tuple[int | None, int]:
    """A delivery mode; None for one that pamqp would raise for."""
    mode = data[at]
    return mode if mode in (1, 2) else None, at + 1


def _timestamp(data: bytes, at: int) -> tuple[datetime | None, int]:
    number = _TIME.unpack_from(data, at)[0]
    try:
        return moment(number), at + _TIME.size
    except (ValueError, OverflowError, OSError):
        return None, at + _TIME.size


_TIME: Final = Struct(">Q")
# In the order in which they are written.
_PROPERTIES: Final[tuple[tuple[str, int, Callable[[bytes, int], tuple[Any, int]]], ...]] = (
    ("content_type", 1 << 15, _short),
    ("content_encoding", 1 << 14, _short),
    ("headers", _HEADERS, _short),
    ("delivery_mode", 1 << 12, _mode),
    ("priority", 1 << 11, _octet),
    ("correlation_id", 1 << 10, _short),
    ("reply_to", 1 << 9, _short),
    ("expiration", 1 << 8, _short),
    ("message_id", 1 << 7, _short),
    ("timestamp", 1 << 6, _timestamp),
    ("message_type", 1 << 5, _short),
    ("user_id", 1 << 4, _short),
    ("app_id", 1 << 3, _short),
)
