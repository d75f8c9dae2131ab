"""Lets pamqp read the properties of any message, for the commands that fetch dead letters.

A fetched message (basic.get) goes through aiormq, which ends the connection where pamqp raises.
What the worker consumes comes by the tap and is read by `property_reader` alone, so a worker leaves
pamqp as it is.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.wire.property_reader import START, read_properties
from worker.wire.table_reader import LENGTH

_GET_OK: Final = Struct(">QB")


def accept_any_properties() -> None:
    """From now on, in this process, pamqp reads as `property_reader` does: it has no other place to
    say so.
    """
    ContentHeader.unmarshal = _unmarshal_header  # type: ignore[method-assign, assignment]
    Basic.GetOk.unmarshal = _unmarshal_get_ok  # type: ignore[method-assign, assignment]


def _unmarshal_header(header: ContentHeader, data: bytes) -> None:
    """For pamqp. Raises struct.error where the frame itself is broken."""
    header.class_id, header.weight, header.body_size = START.unpack_from(data)
    properties = read_properties(data)
    expiration = properties.expiration
    if expiration is not None and not (expiration.isascii() and expiration.isdigit()):
        properties.expiration = None  # or aio_pika would raise
    header.properties = properties


def _unmarshal_get_ok(answer: Basic.GetOk, data: bytes) -> None:
    """For pamqp: a routing key is whatever bytes its producer chose."""
    answer.delivery_tag, flags = _GET_OK.unpack_from(data)
    answer.redelivered = bool(flags & 1)
    at = _GET_OK.size
    texts = []
    for _ in range(2):
        end = at + 1 + data[at]
        texts.append(data[at + 1 : end].decode(errors="replace"))
        at = end
    answer.exchange, answer.routing_key = texts
    answer.message_count = LENGTH.unpack_from(data, at)[0]
