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

from pamqp import decode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.broker.frames import decode_properties


class UnreadableProperties(Basic.Properties):
    """No properties, since not even the headers can be decoded."""


_unmarshal = ContentHeader.unmarshal
_UNREADABLE: Final = (struct.error, ValueError, OverflowError, OSError, IndexError)
# AMQP 0-9-1 specification, section 4.2.6.1: class, weight and body size, then a flag for each
# property, then the properties in that order: content type, content encoding, headers, ...
_FLAGS_AT: Final = 12
_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS = 0x80, 0x40, 0x20


def has_headers(content_header: bytes) -> bool:
    """Whether a message with that encoded content header has any."""
    return bool(content_header[_FLAGS_AT] & _HEADERS)


def read_properties(content_header: bytes) -> Basic.Properties:
    """The properties of an encoded content header: all, or the headers alone, or
    `UnreadableProperties`.
    """
    try:
        return decode_properties(content_header)
    except _UNREADABLE:
        header = ContentHeader()
        _unmarshal_what_can_be(header, content_header)
        return header.properties


def accept_unreadable_properties() -> None:
    """From now on, in this process: pamqp has no other place to say so."""
    ContentHeader.unmarshal = _unmarshal_what_can_be  # type: ignore[method-assign, assignment]


def _unmarshal_what_can_be(header: ContentHeader, data: bytes) -> None:
    header.body_size = -1
    try:
        _unmarshal(header, data)
    except _UNREADABLE:
        if header.body_size < 0:
            raise  # the frame itself is broken
        try:
            header.properties = Basic.Properties(headers=_read_headers(data))
        except _UNREADABLE:
            header.properties = UnreadableProperties()


def _read_headers(content_header: bytes) -> dict[str, Any] | None:
    if not has_headers(content_header):
        return None
    at = _FLAGS_AT + 2
    for flag in (_CONTENT_TYPE, _CONTENT_ENCODING):
        if content_header[_FLAGS_AT] & flag:
            at += 1 + content_header[at]
    return decode.field_table(content_header[at:])[1]
