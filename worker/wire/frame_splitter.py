"""Splits the bytes of a connection into frames: messages to who listens, all else passed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from worker.wire.frame_listeners import (
    AlarmListener,
    MessageListener,
    OnAlarm,
    OnMessage,
    OnRefused,
)
from worker.wire.frames import AROUND_BYTES, BODY, END, HEADER, HEARTBEAT, METHOD, PREFIX

_TYPES: Final = frozenset((METHOD, HEADER, BODY, HEARTBEAT))
_ANY_BYTES: Final = 1 << 64
_LARGE_BYTES: Final = 4096
"""A frame counts once more for each: what is in a large message takes longer to handle."""


def _ignore(*_: object) -> None:
    """For who does not want to be told."""


class FrameSplitter:
    """Splits what comes by a connection into frames. Messages of the channels that are listened to
    go to their listener; `pass_on` gets everything else, unchanged and in order.

    What is no AMQP is passed on as it comes; aiormq says what is wrong with it.
    """

    def __init__(self, pass_on: Callable[[bytes], None]) -> None:
        self._pass_on = pass_on
        self._listeners: dict[int, MessageListener | AlarmListener] = {}
        self._data = b""
        self._at = 0
        self._later: list[bytes] = []
        self._later_bytes = 0
        self._is_amqp = True

    def listen(
        self,
        channel: int,
        on_message: OnMessage,
        on_refused: OnRefused = _ignore,
        on_progress: Callable[[], None] = _ignore,
        most_bytes: int = _ANY_BYTES,
    ) -> None:
        """From now on `on_message` gets the messages of `channel`.

        One whose body has more than `most_bytes` is not gathered: it goes to `on_refused` when it
        has passed, as does one that `on_message` raises for. `on_progress` is called while a long
        one comes.
        """
        self._listeners[channel] = MessageListener(on_message, on_refused, on_progress, most_bytes)

    def listen_for_alarms(self, on_alarm: OnAlarm) -> None:
        """From now on `on_alarm` hears that the broker takes no messages, or takes them again."""
        self._listeners[0] = AlarmListener(on_alarm)

    def stop_listening(self, channel: int) -> None:
        """The number of a channel may be used again, for what nobody listens to."""
        self._listeners.pop(channel, None)

    def feed(self, data: bytes) -> None:
        """Bytes of the connection have come, to be split after those before them."""
        self._later.append(data)
        self._later_bytes += len(data)

    def split(self, most: int) -> int:
        """Split off `most` frames of messages, or what there is, and everything between them;
        gives how many frames of messages there were, a large one counted as several.
        """
        data, at, found = self._data, self._at, 0
        size, listeners = len(data), self._listeners
        while found < most and self._is_amqp:
            if size - at >= AROUND_BYTES:
                kind, channel, length = PREFIX.unpack_from(data, at)
                end = at + length + AROUND_BYTES
                is_whole = end <= size
                if kind not in _TYPES or (is_whole and data[end - 1] != END):
                    self._is_amqp = False
                    break
                if is_whole:
                    listener = listeners.get(channel)
                    if (
                        listener is not None
                        and kind == METHOD
                        and (message_end := listener.take_whole(data, at, end, channel))
                    ):
                        found += 3 + (message_end - end) // _LARGE_BYTES
                        at = message_end
                        continue
                    if listener is not None and listener.accepts(kind, data[at + 7 : end - 1]):
                        found += 1 + length // _LARGE_BYTES
                    else:
                        self._pass_on(data[at:end])
                    at = end
                    continue
                lacking = end - size
            else:
                lacking = 1
            if self._later_bytes < lacking:
                break  # joined once, when a frame is whole, not whenever a bit of it comes
            data, at = b"".join((data[at:], *self._later)), 0
            size = len(data)
            self._later.clear()
            self._later_bytes = 0
        self._data, self._at = data, at
        if not self._is_amqp:
            self.end()
        return found

    def end(self) -> None:
        """Pass on the bytes that are left: no more come that would complete a frame."""
        if rest := self._data[self._at :] + b"".join(self._later):
            self._pass_on(rest)
        self.drop()

    def drop(self) -> None:
        """Forget the bytes of the connection that are left."""
        self._data, self._at = b"", 0
        self._later.clear()
        self._later_bytes = 0
