"""What listens to the frames of one channel: the messages of a consumer, the broker's alarms."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from worker.wire.frames import AROUND_BYTES, BODY, END, HEADER, METHOD, PREFIX

OnMessage = Callable[[int, bytes, bytes], None]
"""Is given the delivery tag, the content header (from its class id on) and the body of a message;
must not block.
"""
OnRefused = Callable[[int, int, bytes], None]
"""Is given the delivery tag of a message that can't be handled, the bytes of its body, and its
content header."""
OnAlarm = Callable[[str], None]
"""Is given why the broker takes no more messages on this connection, or "" when it does again."""

_DELIVER: Final = bytes((0, 60, 0, 60))
_BLOCKED: Final = bytes((0, 10, 0, 60))
_UNBLOCKED: Final = bytes((0, 10, 0, 61))
"""Class and method of RabbitMQ's extension "Blocked Connection Notifications"."""
_LEAST_HEADER_BYTES: Final = 14
"""Class, weight, body size and flags (section 4.2.6.1)."""
_LONG_LONG: Final = struct.Struct(">Q")


class MessageListener:
    """Puts a channel's next message together from its frames; `tag` is 0 between two messages."""

    __slots__ = (
        "header",
        "missing",
        "most_bytes",
        "on_message",
        "on_progress",
        "on_refused",
        "parts",
        "size",
        "tag",
    )

    def __init__(
        self,
        on_message: OnMessage,
        on_refused: OnRefused,
        on_progress: Callable[[], None],
        most_bytes: int,
    ) -> None:
        self.on_message = on_message
        self.on_refused = on_refused
        self.on_progress = on_progress
        self.most_bytes = most_bytes
        self.tag = 0
        self.header = b""
        self.parts: list[bytes] = []
        self.missing = self.size = 0

    def take_whole(self, data: bytes, at: int, header_at: int, channel: int) -> int:
        """Hand over the message whose first frame is at `at` and the next one at `header_at`, if
        all of it is there in three frames, as most are: one call in place of three. Where it ends;
        0 if it is none such, to be taken frame by frame.
        """
        method_at = at + PREFIX.size
        if self.tag or self.parts or data[method_at : method_at + 4] != _DELIVER:
            return 0
        try:
            kind, header_channel, header_bytes = PREFIX.unpack_from(data, header_at)
            body_at = header_at + header_bytes + AROUND_BYTES
            body_kind, body_channel, body_bytes = PREFIX.unpack_from(data, body_at)
            end: int = body_at + body_bytes + AROUND_BYTES
            tag_at = method_at + 5 + data[method_at + 4]  # as in `accepts`
            if (
                kind != HEADER
                or body_kind != BODY
                or not header_channel == body_channel == channel
                or header_bytes < _LEAST_HEADER_BYTES
                or tag_at + _LONG_LONG.size >= header_at
                or data[body_at - 1] != END
                or data[end - 1] != END
                or _LONG_LONG.unpack_from(data, header_at + PREFIX.size + 4)[0] != body_bytes
            ):
                return 0
            self.tag = _LONG_LONG.unpack_from(data, tag_at)[0]
        except (IndexError, struct.error):
            return 0  # not all of it has come
        if not self.tag:
            return 0
        self.header = data[header_at + PREFIX.size : body_at - 1]
        self.size, self.missing = body_bytes, 0
        self._complete(data[body_at + PREFIX.size : end - 1])
        return end

    def accepts(self, kind: int, payload: bytes) -> bool:
        """Whether that frame is part of a message; a message that it completes is handed over."""
        if kind == METHOD:
            if payload[:4] != _DELIVER:
                return False
            try:  # a consumer tag of so many bytes, then the delivery tag; nobody needs the rest
                self.tag = _LONG_LONG.unpack_from(payload, 5 + payload[4])[0]
            except (IndexError, struct.error):
                return False  # no message of AMQP: aiormq says what is wrong with it
            return True
        if not self.tag:
            return False
        if kind == BODY:
            self.missing -= len(payload)
            if self.missing > 0 or self.parts:
                self._gather(payload)
            else:
                self._complete(payload)  # as most messages, it has one such frame
            return True
        return kind == HEADER and self._has_header(payload)

    def _has_header(self, payload: bytes) -> bool:
        if len(payload) < _LEAST_HEADER_BYTES:
            self.tag = 0
            return False
        self.header = payload
        self.missing = self.size = _LONG_LONG.unpack_from(payload, 4)[0]
        if self.parts:
            self.parts = []  # of a message that was never complete
        if self.missing == 0:
            self._complete(b"")
        return True

    def _gather(self, payload: bytes) -> None:
        """One of several parts."""
        if self.size <= self.most_bytes:
            self.parts.append(payload)
        if self.missing > 0:
            self.on_progress()
        else:
            parts, self.parts = self.parts, []
            self._complete(b"".join(parts))

    def _complete(self, body: bytes) -> None:
        tag, self.tag = self.tag, 0
        try:
            if self.size > self.most_bytes:
                self.on_refused(tag, self.size, self.header)
            else:
                self.on_message(tag, self.header, body)
        except Exception as error:  # whatever it is, it concerns this message alone
            _log_not_handled(error)
            self.on_refused(tag, self.size, self.header)


def _log_not_handled(error: Exception) -> None:
    """To be called where `error` is handled."""
    # Later: to import it takes longer than most commands, which listen and do not log.
    import structlog  # noqa: PLC0415

    log = structlog.get_logger(__name__)
    log.exception("message.not_handled", error=type(error).__name__)


class AlarmListener:
    """Tells of the broker's alarms, which come on channel 0; aiormq only logs their reason."""

    def __init__(self, on_alarm: OnAlarm) -> None:
        self._on_alarm = on_alarm

    def take_whole(self, data: bytes, at: int, header_at: int, channel: int) -> int:
        """0: there are no messages on the channel of the broker's alarms."""
        return 0

    def accepts(self, kind: int, payload: bytes) -> bool:
        """False: aiormq is to see all frames of the channel of the broker's alarms."""
        if kind == METHOD:
            if payload[:4] == _BLOCKED:
                text = payload[5 : 5 + payload[4]] if len(payload) > 4 else b""
                self._on_alarm(text.decode(errors="replace") or "no reason given")
            elif payload[:4] == _UNBLOCKED:
                self._on_alarm("")
        return False
