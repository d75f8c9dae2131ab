"""Messages with properties as no AMQP client would write them."""

from __future__ import annotations

import struct
from typing import Final

from pamqp import commands, frame
from pamqp.body import ContentBody

from bench.publisher import Line

HEADERS: Final = 1 << 13
_CHANNEL: Final = 1
_FRAME_BODY_BYTES: Final = 100_000


def entry(name: bytes, value: bytes) -> bytes:
    """A header: its name, and its value with the letter of its kind."""
    return bytes((len(name),)) + name + value


def table(*entries: bytes) -> bytes:
    """Headers."""
    joined = b"".join(entries)
    return struct.pack(">I", len(joined)) + joined


def publish_raw(amqp_url: str, queue: str, flags: int, properties: bytes, body: bytes) -> None:
    """Publish to `queue`, and wait for the confirm."""
    payload = struct.pack(">HHQH", 60, 0, len(body), flags) + properties
    parts = [
        frame.marshal(commands.Basic.Publish(routing_key=queue), _CHANNEL),
        struct.pack(">BHI", 2, _CHANNEL, len(payload)) + payload + b"\xce",
    ]
    for at in range(0, len(body), _FRAME_BODY_BYTES):
        parts.append(frame.marshal(ContentBody(body[at : at + _FRAME_BODY_BYTES]), _CHANNEL))
    line = Line(amqp_url)
    line.send([b"".join(parts)])
    while line.unconfirmed:
        line.take_confirms(10)
    line.close()
