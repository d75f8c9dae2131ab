"""What waits is handled in slices, between which others have their turn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from worker.broker.message import Incoming

SLICE_EVENTS: Final = 25
_SLICE_SECONDS: Final = 0.02
"""So many are handled without a pause, or as many as that time allows: it bounds how long others
wait."""
REST_SECONDS: Final = 0.02
"""After a slice, while fresh events come."""


def handle_slice(messages: deque[Incoming], handle: Callable[[Incoming], None]) -> int:
    """Take a slice of the first of these out, and handle those that the broker has not given out
    again; how many were taken.
    """
    ends_at = time.monotonic() + _SLICE_SECONDS
    taken = 0
    while messages and taken < SLICE_EVENTS:
        message = messages.popleft()
        taken += 1
        if message.is_ours:
            handle(message)
        if time.monotonic() >= ends_at:
            break
    return taken
