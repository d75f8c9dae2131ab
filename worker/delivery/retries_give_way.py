"""What comes back by itself lets fresh events pass.

After an outage thousands of retries are due at once, and the broker hands out as many as the
prefetch admits. To look into all of them in one go would hold up every customer's fresh events for
as long as that takes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from worker.broker.message import Incoming

_REST_SECONDS: Final = 0.02
_SLICE_MESSAGES: Final = 25
_SLICE_SECONDS: Final = 0.02
"""So many are handled without a pause, or as many as that time allows. Over a thousand in a second:
what is due is late by two seconds at most for what is in hand already; the broker hands out more of
them more slowly (see `Acknowledging`)."""


class GivingWay:
    """`handle` gets each message when its turn has come."""

    def __init__(self, handle: Callable[[Incoming], None]) -> None:
        self._handle = handle
        self._messages: deque[Incoming] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, message: Incoming) -> None:
        """A message has come while others go first."""
        self._messages.append(message)
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        seconds = _REST_SECONDS if self._messages[0].source.gives_way() else 0
        self._timer = asyncio.get_running_loop().call_later(seconds, self._next)

    def _next(self) -> None:
        self._timer = None
        ends_at = time.monotonic() + _SLICE_SECONDS
        for _ in range(min(_SLICE_MESSAGES, len(self._messages))):
            message = self._messages.popleft()
            if message.is_ours:  # or the broker gives it out again
                self._handle(message)
            if time.monotonic() >= ends_at:
                break
        if self._messages:
            self._wait()
