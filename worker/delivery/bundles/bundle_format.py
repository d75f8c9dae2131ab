"""Several parked events in one message: how they are packed. Pure.

Each event is packed as the message that it would have been by itself: a content header as AMQP
writes it, with the length of that before it, and the body.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from worker.broker.headers import LARGEST_BUNDLE_BYTES

MOST_EVENTS: Final = 200
"""In a bundle that we pack; they have 256 KiB at the most, or are one."""
LARGEST_BYTES: Final = LARGEST_BUNDLE_BYTES
"""No bundle of ours is larger. What is larger, or has more than four times as many events as we
ever pack, was written by somebody else, and is not opened."""
MOST_VALUES: Final = 32_768
"""In the headers of all its events, which are read in one go when it is opened. A sound event has a
dozen."""
_OPENED_EVENTS: Final = 4 * MOST_EVENTS
_LENGTH: Final = Struct(">I")
AROUND_EVENT_BYTES: Final = _LENGTH.size
"""What an event takes in a bundle beside its content header and its body."""
_BODY_SIZE: Final = Struct(">Q")
_BODY_SIZE_AT: Final = 4
_LEAST_HEADER_BYTES: Final = 14
"""Class, weight, body size and flags (AMQP 0-9-1 specification, section 4.2.6.1)."""


class NotABundle(ValueError):
    """A body that should be a bundle is not one."""


def pack(events: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The body of a bundle, made of the content headers and bodies of its events."""
    return b"".join(
        part
        for content_header, body in events
        for part in (_LENGTH.pack(len(content_header)), content_header, body)
    )


def unpack(bundle: bytes) -> list[tuple[bytes, bytes]]:
    """The content headers and bodies of a bundle. Raises `NotABundle`."""
    if len(bundle) > LARGEST_BYTES:
        raise NotABundle("larger than any bundle")
    events: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(bundle):
        if len(events) == _OPENED_EVENTS:
            raise NotABundle("more events than any bundle has")
        header, body, at = _event(bundle, at)
        events.append((header, body))
    if not events:
        raise NotABundle("a bundle without an event")
    return events


def first_body(bundle: bytes) -> bytes:
    """The body of the first event of a bundle. Raises `NotABundle`."""
    return _event(bundle, 0)[1]


def _event(bundle: bytes, at: int) -> tuple[bytes, bytes, int]:
    header, at = _piece(bundle, at + _LENGTH.size, _number(bundle, at, _LENGTH))
    if len(header) < _LEAST_HEADER_BYTES:
        raise NotABundle("a bundle with an event that has no content header")
    body, at = _piece(bundle, at, _number(header, _BODY_SIZE_AT, _BODY_SIZE))
    return header, body, at


def _number(data: bytes, at: int, form: Struct) -> int:
    if at + form.size > len(data):
        raise NotABundle("a bundle that ends too soon")
    number: int = form.unpack_from(data, at)[0]
    return number


def _piece(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    end = start + size
    if end > len(data):
        raise NotABundle("a bundle that ends too soon")
    return data[start:end], end
