"""Several parked events in one message: how they are packed. Pure.

Each event is packed as the message that it would have been by itself: a content header as AMQP
writes it, with the length of that before it, and the body.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

_LENGTH: Final = Struct(">I")
_BODY_SIZE: Final = Struct(">Q")
_BODY_SIZE_AT: Final = 4
_LEAST_HEADER_BYTES: Final = 14
"""Class, weight, body size and flags (AMQP 0-9-1 specification, section 4.2.6.1)."""


class NotABundle(ValueError):  # noqa: N818 - a statement about the message
    """A body that should be a bundle is not one."""


def pack(events: Iterable[tuple[bytes, bytes]]) -> bytes:
    """One body for these content headers and bodies."""
    return b"".join(
        part
        for content_header, body in events
        for part in (_LENGTH.pack(len(content_header)), content_header, body)
    )


def unpack(bundle: bytes) -> list[tuple[bytes, bytes]]:
    """The content headers and bodies of a bundle. Raises `NotABundle`."""
    events: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(bundle):
        header, at = _piece(bundle, at + _LENGTH.size, _number(bundle, at, _LENGTH))
        if len(header) < _LEAST_HEADER_BYTES:
            raise NotABundle("a bundle with an event that has no content header")
        body, at = _piece(bundle, at, _number(header, _BODY_SIZE_AT, _BODY_SIZE))
        events.append((header, body))
    if not events:
        raise NotABundle("a bundle without an event")
    return events


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
