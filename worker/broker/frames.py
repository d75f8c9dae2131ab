"""Frames that the worker writes, and properties that it reads, by itself (AMQP 0-9-1 specification,
sections 2.3.5 and 4.2).

pamqp encodes anything, one object for each frame and one call for each value. For what a worker
writes thousands of times a second, acknowledgements and the content of messages, that is most of
the cost. Values that are no text or number are left to pamqp.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from struct import Struct
from typing import Any, Final

from pamqp import decode, encode
from pamqp.commands import Basic

_ACK: Final = Struct(">BHIHHQBB")
_PREFIX: Final = Struct(">BHI")
_HEADER: Final = Struct(">HHQH")
_LENGTH: Final = Struct(">I")
_NUMBER: Final = Struct(">cq")
_METHOD, _CONTENT_HEADER, _BODY = 1, 2, 3
_END: Final = b"\xce"
_AROUND_BYTES: Final = _PREFIX.size + len(_END)
_BASIC, _BASIC_ACK = 60, 80
_ACK_BYTES: Final = 13


def acknowledgement(channel: int, tag: int) -> bytes:
    """The frame of a basic.ack for one message."""
    return _ACK.pack(_METHOD, channel, _ACK_BYTES, _BASIC, _BASIC_ACK, tag, 0, _END[0])


def content(channel: int, properties: Basic.Properties, body: bytes, frame_bytes: int) -> bytes:
    """The frames of a message after that of basic.publish, none larger than `frame_bytes`.

    Raises ValueError or TypeError for what AMQP can't carry.
    """
    header = encode_content_header(properties, len(body))
    frames = [_PREFIX.pack(_CONTENT_HEADER, channel, len(header)), header, _END]
    most = frame_bytes - _AROUND_BYTES
    for at in range(0, len(body), most):
        part = body[at : at + most]
        frames += (_PREFIX.pack(_BODY, channel, len(part)), part, _END)
    return b"".join(frames)


def encode_content_header(properties: Basic.Properties, body_bytes: int) -> bytes:
    """The payload of a content header's frame. Raises ValueError or TypeError for what AMQP can't
    carry.
    """
    flags = 0
    values: list[bytes] = []
    for name, flag, encoded, _ in _PROPERTIES:
        value = getattr(properties, name)
        if value is not None:
            flags |= flag
            values.append(encoded(value))
    return _HEADER.pack(_BASIC, 0, body_bytes, flags) + b"".join(values)


def decode_properties(content_header: bytes) -> Basic.Properties:
    """The properties of an encoded content header.

    Raises struct.error, ValueError, OverflowError or OSError for what can't be decoded.
    """
    flags = _HEADER.unpack_from(content_header)[3]
    if flags & _UNKNOWN_FLAGS:
        raise ValueError("properties that nobody uses")
    at = _HEADER.size
    found: dict[str, Any] = {}
    for name, flag, _, decoded in _PROPERTIES:
        if flags & flag:
            found[name], at = decoded(content_header, at)
    return Basic.Properties(**found)


def _short(text: str) -> bytes:
    data = text.encode()
    return bytes((len(data),)) + data  # ValueError beyond 255


def _table(table: Mapping[str, Any]) -> bytes:
    entries: list[bytes] = []
    for name, value in table.items():
        entries.append(_short(name))
        kind = type(value)
        if kind is str:
            data = value.encode()
            entries += (b"S", _LENGTH.pack(len(data)), data)
        elif kind is int and -(1 << 63) <= value < 1 << 63:
            entries.append(_NUMBER.pack(b"l", value))
        else:
            entries.append(encode.encode_table_value(value))
    data = b"".join(entries)
    return _LENGTH.pack(len(data)) + data


def _octet(number: int) -> bytes:
    return bytes((number,))


def _from_short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    if end > len(data):
        raise ValueError("a text that ends too soon")
    return data[at + 1 : end].decode(), end


def _from_octet(data: bytes, at: int) -> tuple[int, int]:
    return data[at], at + 1


def _from_table(data: bytes, at: int) -> tuple[dict[str, Any], int]:
    used, table = decode.field_table(data[at:])
    return table, at + used


def _from_timestamp(data: bytes, at: int) -> tuple[datetime, int]:
    used, moment = decode.timestamp(data[at:])
    return moment, at + used


_UNKNOWN_FLAGS: Final = 0b111
# In the order in which they are written.
_PROPERTIES: Final = (
    ("content_type", 1 << 15, _short, _from_short),
    ("content_encoding", 1 << 14, _short, _from_short),
    ("headers", 1 << 13, _table, _from_table),
    ("delivery_mode", 1 << 12, _octet, _from_octet),
    ("priority", 1 << 11, _octet, _from_octet),
    ("correlation_id", 1 << 10, _short, _from_short),
    ("reply_to", 1 << 9, _short, _from_short),
    ("expiration", 1 << 8, _short, _from_short),
    ("message_id", 1 << 7, _short, _from_short),
    ("timestamp", 1 << 6, encode.timestamp, _from_timestamp),
    ("message_type", 1 << 5, _short, _from_short),
    ("user_id", 1 << 4, _short, _from_short),
    ("app_id", 1 << 3, _short, _from_short),
)
