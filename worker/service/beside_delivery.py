"""What a worker does beside delivery for as long as it runs: a fault of ours does not end it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from worker.kept_running import keep_running

log = structlog.get_logger(__name__)


def begin_beside(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Do `work` beside delivery until the task is cancelled; after a fault it is begun anew."""
    return asyncio.create_task(keep_running(work, partial(_tell_fault, name)))


def _tell_fault(name: str, error: Exception) -> None:
    # By its type alone, since its text may quote an event.
    log.exception("worker.unexpected_error", work=name, error=type(error).__name__)
