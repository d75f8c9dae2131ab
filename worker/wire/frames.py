"""Frames that the worker writes by itself (AMQP 0-9-1 specification, sections 2.3.5 and 4.2).

pamqp encodes anything, one object for each frame and one call for each value. For what a worker
writes thousands of times a second, acknowledgements and the content of messages, that is most of
the cost. Values that are no text or number are left to pamqp.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any, Final

from pamqp import encode

from worker.wire.property_reader import Properties

_ACK: Final = Struct(">BHIHHQBB")
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
"""Types of frames (AMQP 0-9-1 specification, section 4.2.3)."""
PREFIX: Final = Struct(">BHI")
"""Type, channel and size; a payload of that size follows, and `END` (section 4.2)."""
END: Final = 0xCE
AROUND_BYTES: Final = PREFIX.size + 1
_HEADER: Final = Struct(">HHQH")
_LENGTH: Final = Struct(">I")
_NUMBER: Final = Struct(">cq")
_END: Final = bytes((END,))
_BASIC, _BASIC_ACK = 60, 80
_ACK_BYTES: Final = 13


def acknowledgement(channel: int, tag: int) -> bytes:
    """The frame of a basic.ack for one message."""
    return _ACK.pack(METHOD, channel, _ACK_BYTES, _BASIC, _BASIC_ACK, tag, 0, END)


def content(channel: int, header: bytes, body: bytes, frame_bytes: int) -> bytes:
    """The frames of a message after that of basic.publish, those of the body no larger than
    `frame_bytes`; `header` is an encoded content header.
    """
    frames = [PREFIX.pack(HEADER, channel, len(header)), header, _END]
    most = frame_bytes - AROUND_BYTES
    for at in range(0, len(body), most):
        part = body[at : at + most]
        frames += (PREFIX.pack(BODY, channel, len(part)), part, _END)
    return b"".join(frames)


def encode_content_header(properties: Properties, body_bytes: int) -> bytes:
    """The payload of a content header's frame. Raises ValueError or TypeError for what AMQP can't
    carry.
    """
    flags = 0
    values: list[bytes] = []
    for name, flag, encoded in _PROPERTIES:
        value = getattr(properties, name)
        if value is not None:
            flags |= flag
            values.append(encoded(value))
    return _HEADER.pack(_BASIC, 0, body_bytes, flags) + b"".join(values)


encoded_value = encode.encode_table_value
"""Gives the bytes of a table's value, with its kind. Raises exceptions of many kinds for what the
common types of AMQP can't carry."""


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


# In the order in which they are written.
_PROPERTIES: Final = (
    ("content_type", 1 << 15, _short),
    ("content_encoding", 1 << 14, _short),
    ("headers", 1 << 13, _table),
    ("delivery_mode", 1 << 12, _octet),
    ("priority", 1 << 11, _octet),
    ("correlation_id", 1 << 10, _short),
    ("reply_to", 1 << 9, _short),
    ("expiration", 1 << 8, _short),
    ("message_id", 1 << 7, _short),
    ("timestamp", 1 << 6, encode.timestamp),
    ("message_type", 1 << 5, _short),
    ("user_id", 1 << 4, _short),
    ("app_id", 1 << 3, _short),
)
