"""What a message that is published again keeps, in one place.

It keeps the rules that have cost others messages (docs/message-contract.md): what the broker adds
(`x-*`) never travels on, every publish has its own `message_id`, and nothing a producer set may
expire, redirect or copy the message.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from typing import Any, Final

from worker.broker.headers import (
    CONTRACT,
    CONTRACT_VERSION,
    ERROR_DETAIL,
    OWN_HEADERS,
    PRODUCER_MESSAGE_ID,
)
from worker.redaction import kept_id
from worker.wire.frames import encode_content_header, encoded_value
from worker.wire.property_reader import PERSISTENT, Properties
from worker.wire.table_reader import MAX_VALUES, number_of_values

# CC and BCC route copies (RabbitMQ: sender-selected distribution).
_REFUSED_HEADERS: Final = frozenset({"cc", "bcc"})
_DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"
MAX_PRODUCER_HEADER_BYTES: Final = 64 * 1024
"""A content header travels in one frame, of 128 KiB by RabbitMQ's default, and has our own beside
these. `fitted_header` sees to smaller frames, once it is known which ones the broker takes."""
_MOST_PRODUCER_VALUES: Final = MAX_VALUES - 64
"""What comes back is read up to `MAX_VALUES`, and has our own headers beside these."""
_AROUND_NAME_BYTES: Final = 1
_AROUND_TEXT_BYTES: Final = 5
_NUMBER_BYTES: Final = 9
_MAX_ID_BYTES: Final = 255
"""Of a `message_id` (AMQP 0-9-1 specification, section 4.2.5.3)."""


_FOR_PEOPLE: Final = frozenset({ERROR_DETAIL, PRODUCER_MESSAGE_ID})
_OWN_ID: Final = re.compile(r"[0-9a-f]{32}")
_this_process: Final = os.urandom(8).hex()
_numbers: Final = itertools.count()


def new_message_id() -> str:
    """A message id that no other message has, of 32 hex digits.

    Random for the process alone: asking the system for each costs more than all else of a publish.
    """
    return f"{_this_process}{next(_numbers):016x}"


def is_own_message_id(message_id: str | None) -> bool:
    """Whether a message id may be one of `new_message_id`."""
    return message_id is not None and _OWN_ID.fullmatch(message_id) is not None


def successor_of(original: Properties, own_headers: Mapping[str, Any]) -> Properties:
    """The properties with which the same body, byte for byte, is published again: the producer's,
    `own_headers`, and the version of the contract that these keep, if they say none.

    Dropped: `expiration`, `user_id`, `message_id` (kept in a header), a direct reply-to, headers
    that start with `x-`, CC and BCC, and the headers of an earlier pass.
    """
    return part_of_bundle(original, {CONTRACT: CONTRACT_VERSION} | dict(own_headers))


def part_of_bundle(original: Properties, own_headers: Mapping[str, Any]) -> Properties:
    """The properties of an event in a bundle, as of a successor; the bundle tells the contract."""
    came_with = original.headers or {}
    headers = producer_headers(came_with) if came_with else {}
    producer_message_id = came_with.get(PRODUCER_MESSAGE_ID)
    if producer_message_id is None and not any(name in OWN_HEADERS for name in came_with):
        # One that we have published before has an id of ours.
        producer_message_id = original.message_id
    if (
        isinstance(producer_message_id, str)
        and 0 < len(producer_message_id.encode()) <= _MAX_ID_BYTES
    ):
        headers[PRODUCER_MESSAGE_ID] = kept_id(producer_message_id)
    headers.update(own_headers)
    reply_to = original.reply_to
    return Properties(
        headers=headers,
        content_type=original.content_type,
        content_encoding=original.content_encoding,
        correlation_id=original.correlation_id,
        reply_to=None if (reply_to or "").startswith(_DIRECT_REPLY_TO) else reply_to,
        message_type=original.message_type,
        app_id=original.app_id,
        timestamp=original.timestamp,
        priority=original.priority,
        message_id=new_message_id(),
        delivery_mode=PERSISTENT,
    )


def fitted_header(properties: Properties, body_bytes: int, most_bytes: int) -> bytes:
    """The content header of a message that is published again, encoded, with no more bytes than
    that: a larger one would end the connection.

    The producer's largest headers are left out of `properties`; if that is not enough, what ours
    say for people alone; then `True` stands for the longest of ours, which is none of ours.
    """
    while len(encoded := encode_content_header(properties, body_bytes)) > most_bytes:
        headers = dict(properties.headers or {})
        excess = len(encoded) - most_bytes
        for name in sorted(headers, key=lambda name: _order_of_leaving(name, headers[name])):
            value = headers[name]
            if name in OWN_HEADERS and name not in _FOR_PEOPLE:
                if not isinstance(value, str):
                    return encoded  # nothing more can be left out
                headers[name] = True
            else:
                del headers[name]
                excess -= _AROUND_NAME_BYTES + len(name.encode())
            excess -= _carried_bytes(value) or 0
            if excess <= 0:
                break
        properties.headers = headers
    return encoded


def _order_of_leaving(name: str, value: Any) -> tuple[int, int]:
    is_needed = name in OWN_HEADERS and name not in _FOR_PEOPLE
    rank = (3 if isinstance(value, str) else 4) if is_needed else int(name in _FOR_PEOPLE)
    return rank, -(_carried_bytes(value) or 0)


def producer_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The application headers of the producer: neither the broker's nor ours nor routing ones.

    Text that is not UTF-8 becomes bytes, and what AMQP's common types can't carry is left out: a
    message that could not be published again could never leave the worker's hands. Beyond
    `MAX_PRODUCER_HEADER_BYTES` the largest are left out, because a content header that does not fit
    in a frame would close the connection (see `fitted_header`); and beyond so many values the
    longest lists, because what comes back could not be read whole.
    """
    sizes: dict[str, int] = {}
    for name, value in headers.items():
        is_ours_or_routing = name.lower() in _REFUSED_HEADERS or name in OWN_HEADERS
        if not is_ours_or_routing and not name.lower().startswith("x-"):
            size = _carried_bytes(value)
            if size is not None:
                sizes[name] = _AROUND_NAME_BYTES + len(name.encode()) + size
    total = sum(sizes.values())
    if total > MAX_PRODUCER_HEADER_BYTES:
        for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
            total -= sizes.pop(name)
            if total <= MAX_PRODUCER_HEADER_BYTES:
                break
    if total > _MOST_PRODUCER_VALUES:  # or there are fewer: each has a byte at least
        _leave_out_lists(headers, sizes)
    return {name: _as_carried(headers[name]) for name in sizes}


def _leave_out_lists(headers: Mapping[str, Any], kept: dict[str, int]) -> None:
    """Leave out of `kept` those with the most values, as long as there are too many of these."""
    values = {name: number_of_values(headers[name]) for name in kept}
    total = sum(values.values())
    for name in sorted(values, key=lambda name: values[name], reverse=True):
        if total <= _MOST_PRODUCER_VALUES:
            break
        total -= values[name]
        del kept[name]


def _as_carried(value: Any) -> Any:
    return bytearray(value) if isinstance(value, bytes) else value


def _carried_bytes(value: Any) -> int | None:
    """The bytes that `value` takes as it is published, at the most; None if it can't be."""
    if isinstance(value, str):
        return _AROUND_TEXT_BYTES + len(value.encode())
    if isinstance(value, bytes | bytearray):
        return _AROUND_TEXT_BYTES + len(value)
    try:
        return max(_NUMBER_BYTES, len(encoded_value(value)))
    except Exception:  # pamqp raises all kinds, for a time, a decimal, or text that is no text
        return None
