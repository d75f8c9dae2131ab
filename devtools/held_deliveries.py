"""Holds back the messages that a broker delivers by one connection; all else goes on."""

from __future__ import annotations

import struct
from typing import Final

# AMQP 0-9-1 specification, sections 2.3.5 and 4.2.3.
_PREFIX: Final = struct.Struct(">BHI")
_END_BYTES: Final = 1
_METHOD, _HEARTBEAT = 1, 8
_DELIVER: Final = b"\0\x3c\0\x3c"
_CHANNEL_CLOSED: Final = b"\0\x14\0\x29"


class HeldDeliveries:
    """For the bytes of one connection, from its first one on."""

    def __init__(self) -> None:
        self._rest = b""
        self._held: dict[int, list[bytes]] = {}

    def passed(self, chunk: bytes) -> bytes:
        """What of the next bytes is no message."""
        data = self._rest + chunk
        at = 0
        going_on = []
        while len(data) - at >= _PREFIX.size:
            kind, channel, length = _PREFIX.unpack_from(data, at)
            end = at + _PREFIX.size + length + _END_BYTES
            if end > len(data):
                break
            frame, at = data[at:end], end
            method = frame[_PREFIX.size : _PREFIX.size + 4] if kind == _METHOD else b""
            if method == _DELIVER or kind not in (_METHOD, _HEARTBEAT):
                self._held.setdefault(channel, []).append(frame)
                continue
            if method == _CHANNEL_CLOSED:
                self._held.pop(channel, None)
            going_on.append(frame)
        self._rest = data[at:]
        return b"".join(going_on)

    def let_go(self) -> bytes:
        """What was held back, and of which nobody has closed the channel meanwhile."""
        held, self._held = self._held, {}
        rest, self._rest = self._rest, b""
        return b"".join(frame for frames in held.values() for frame in frames) + rest
