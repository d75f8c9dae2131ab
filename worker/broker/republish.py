"""The one function that builds a message which is published again.

It keeps the rules that have cost others messages (docs/message-contract.md): what the broker adds
(`x-*`) never travels on, every publish has its own `message_id`, and nothing a producer set may
expire, redirect or copy the message.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractMessage

from worker.broker.headers import OWN_HEADERS, PRODUCER_MESSAGE_ID

# CC and BCC route copies (RabbitMQ: sender-selected distribution).
_REFUSED_HEADERS: Final = frozenset({"cc", "bcc"})
_DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"
# A content header travels in one frame; RabbitMQ negotiates 128 KiB. Leave room for our own part.
MAX_PRODUCER_HEADER_BYTES: Final = 64 * 1024


def build_successor(original: AbstractMessage, own_headers: Mapping[str, Any]) -> aio_pika.Message:
    """The same body, byte for byte, with the producer's properties and `own_headers`.

    Dropped: `expiration`, `user_id`, `message_id` (kept in a header), a direct reply-to, headers
    that start with `x-`, CC and BCC, and the headers of an earlier pass.
    """
    headers = producer_headers(original.headers or {})
    producer_message_id = (original.headers or {}).get(PRODUCER_MESSAGE_ID)
    if producer_message_id is None and not _is_ours(original):
        producer_message_id = original.message_id
    if isinstance(producer_message_id, str) and producer_message_id:
        headers[PRODUCER_MESSAGE_ID] = producer_message_id
    headers.update(own_headers)
    reply_to = original.reply_to
    return aio_pika.Message(
        original.body,
        headers=headers,
        content_type=original.content_type,
        content_encoding=original.content_encoding,
        correlation_id=original.correlation_id,
        reply_to=None if (reply_to or "").startswith(_DIRECT_REPLY_TO) else reply_to,
        type=original.type,
        app_id=original.app_id,
        timestamp=original.timestamp,
        priority=original.priority,
        message_id=uuid.uuid4().hex,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


def producer_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The application headers of the producer: neither the broker's nor ours nor routing ones.

    Beyond `MAX_PRODUCER_HEADER_BYTES` the largest are left out, because a content header that
    does not fit in a frame would close the connection.
    """
    kept = {
        name: value
        for name, value in headers.items()
        if not name.lower().startswith("x-")
        and name.lower() not in _REFUSED_HEADERS
        and name not in OWN_HEADERS
    }
    sizes = {name: len(repr(value)) + len(name) for name, value in kept.items()}
    while kept and sum(sizes.values()) > MAX_PRODUCER_HEADER_BYTES:
        largest = max(sizes, key=lambda name: sizes[name])
        del kept[largest], sizes[largest]
    return kept


def _is_ours(message: AbstractMessage) -> bool:
    """Whether we published this message, so that its message_id is not the producer's."""
    return any(name in OWN_HEADERS for name in message.headers or {})
