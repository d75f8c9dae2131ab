"""Messages with properties that can't be decoded, such as a `message_id` that is not UTF-8.

pamqp raises for these, and aiormq ends the connection. The broker would deliver the message again
to the next session, which would end as well, until the delivery limit; and with each of these
sessions all that is in hand comes back. So of such a message the headers are read alone; where
these can't be decoded either, it arrives with `UnreadableProperties`, and the pipeline makes a dead
letter of it, since nobody knows what was tried already.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.broker.frames import decode_properties
from worker.broker.tables import read_table


class UnreadableProperties(Basic.Properties):
    """No properties, since not even the headers can be decoded."""


# AMQP 0-9-1 specification, section 4.2.6.1: class, weight and body size, then a flag for each
# property, then the properties in that order: content type, content encoding, headers, ...
_START: Final = struct.Struct(">HHQH")
_FLAGS_AT: Final = 12
_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS = 0x80, 0x40, 0x20


def has_headers(content_header: bytes) -> bool:
    """Whether a message with that encoded content header has any."""
    return len(content_header) > _FLAGS_AT and bool(content_header[_FLAGS_AT] & _HEADERS)


def read_properties(content_header: bytes) -> Basic.Properties:
    """The properties of an encoded content header: all, or the headers alone, or
    `UnreadableProperties`. Never raises: whatever is in it concerns its own message.
    """
    try:
        return decode_properties(content_header)
    except Exception:
        try:
            return Basic.Properties(headers=_read_headers(content_header))
        except Exception:
            return UnreadableProperties()


def accept_unreadable_properties() -> None:
    """From now on, in this process: pamqp has no other place to say so."""
    ContentHeader.unmarshal = _unmarshal_what_can_be  # type: ignore[method-assign, assignment]


def _unmarshal_what_can_be(header: ContentHeader, data: bytes) -> None:
    # Raises for a frame that is itself broken.
    header.class_id, header.weight, header.body_size, _ = _START.unpack_from(data)
    header.properties = read_properties(data)


def _read_headers(content_header: bytes) -> dict[str, Any] | None:
    if not has_headers(content_header):
        return None
    at = _FLAGS_AT + 2
    for flag in (_CONTENT_TYPE, _CONTENT_ENCODING):
        if content_header[_FLAGS_AT] & flag:
            at += 1 + content_header[at]
    return read_table(content_header, at)[0]
