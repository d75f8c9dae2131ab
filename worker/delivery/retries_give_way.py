"""What comes back by itself lets fresh events pass.

After an outage thousands of retries are due at once, and the broker hands out as many as the
prefetch admits. To look into all of them in one go would hold up every customer's fresh events for
as long as that takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from worker.broker.message import Incoming
from worker.delivery.slices import REST_SECONDS, handle_slice


class GivingWay:
    """`handle` gets each message when its turn has come.

    That is over a thousand in a second, so what is in hand already is late by two seconds at most;
    the broker hands out more of them more slowly (see `Acknowledging`).
    """

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
        seconds = REST_SECONDS if self._messages[0].source.gives_way() else 0
        self._timer = asyncio.get_running_loop().call_later(seconds, self._next)

    def _next(self) -> None:
        self._timer = None
        handle_slice(self._messages, self._handle)
        if self._messages:
            self._wait()
