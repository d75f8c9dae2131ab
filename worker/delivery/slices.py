"""Messages that wait are handled in slices, between which others have their turn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from worker.broker.message import Incoming

log = structlog.get_logger(__name__)

SLICE_EVENTS: Final = 25
_SLICE_SECONDS: Final = 0.02
"""So many are handled without a pause, or as many as that time allows: it bounds how long others
wait."""
REST_SECONDS: Final = 0.02
"""After a slice, while fresh events come."""


def handle_slice(messages: deque[Incoming], handle: Callable[[Incoming], None]) -> int:
    """Take a slice of the first of these messages out, and handle those that the broker has not
    given out again; how many were taken. A fault of ours concerns its own message alone.
    """
    ends_at = time.monotonic() + _SLICE_SECONDS
    taken = 0
    while messages and taken < SLICE_EVENTS:
        message = messages.popleft()
        taken += 1
        if message.is_ours:
            try:
                handle(message)
            except Exception as error:
                not_handled(error)
        if time.monotonic() >= ends_at:
            break
    return taken


def not_handled(error: Exception) -> None:
    """Tell of a message whose turn came later, so that nobody is there who could refuse it. To be
    called while `error` is handled. The message stays in hand, until the broker gives it out again.
    """
    log.exception("message.not_handled", error=type(error).__name__)
