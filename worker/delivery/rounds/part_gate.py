"""The gate before one part of the state: closed while that is away, until it answers again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from worker.ordering.store_protocol import StoreUnavailable

log = structlog.get_logger(__name__)

_PING_SECONDS: Final = 0.5
_LONGEST_PING_SECONDS: Final = 8.0
_STEADY_SECONDS: Final = 10.0
"""A part that answers pings, and not what it is for, closes its gate again at once: it is asked
less and less often then, until the gate has been open for so long."""


def unasked(error: Exception) -> StoreUnavailable:
    """Why the gate of a part of the state is closed that a fault of ours keeps from being known."""
    return StoreUnavailable(f"can't be asked ({type(error).__name__})")


def tell_fault(error: Exception) -> None:
    """Log a fault of ours with the state, while it is handled."""
    log.exception("ordering.unexpected_error", error=type(error).__name__)


class PartGate:
    """The gate before one part of the state. `ask` returns if the part can be used, and raises
    `StoreUnavailable` if not; `opened` is called each time it is back. After a fault of ours it is
    asked again, too.
    """

    def __init__(
        self, part: str, ask: Callable[[], Awaitable[None]], opened: Callable[[], None]
    ) -> None:
        self._part = part
        self._ask = ask
        self._opened = opened
        self.problem = ""
        """Why it is closed; empty while it is open."""
        self.opening: asyncio.Task[None] | None = None
        """Ends when a closed gate is open again."""
        self._opened_at = -_STEADY_SECONDS
        self._pause_seconds = _PING_SECONDS

    def close(self, problem: StoreUnavailable) -> None:
        """The part of the state is away: ask for it until it answers."""
        if self.opening is None or self.opening.done():
            log.error("ordering.unavailable", detail=str(problem))
            self.problem = str(problem)
            is_steady = time.monotonic() - self._opened_at >= _STEADY_SECONDS
            doubled = min(self._pause_seconds * 2, _LONGEST_PING_SECONDS)
            self._pause_seconds = _PING_SECONDS if is_steady else doubled
            self.opening = asyncio.create_task(self._reopen())

    def stop(self) -> None:
        """Ask no more for the part of the state."""
        if self.opening is not None:
            self.opening.cancel()

    async def _reopen(self) -> None:
        while True:
            await asyncio.sleep(self._pause_seconds)
            try:
                await self._ask()
            except StoreUnavailable as problem:
                self.problem = str(problem)
            except Exception as error:
                fault = str(unasked(error))
                if fault != self.problem:  # once, and not each time that it is asked
                    tell_fault(error)
                self.problem = fault
            else:
                break
        log.info("ordering.available", part=self._part or None)
        self.problem = ""
        self._opened_at = time.monotonic()
        self._opened()
