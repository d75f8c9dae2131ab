"""Checks of set-ups that somebody has asked for: one at a time for an integration, and a few at
once. The last result of each is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import structlog

from worker.adobe.check.background_checks import AT_ONCE
from worker.adobe.check.report_lines import Line, Verdict, worst
from worker.integrations.model import Integration

log = structlog.get_logger(__name__)

_MOST_KEPT: Final = 1_000
_LONGEST_SECONDS: Final = 60.0

Check = Callable[[Integration], Awaitable[Sequence[Line]]]


class Checked(NamedTuple):
    """The result of a set-up's check: `began_at` is in ms since 1970, and `version` that of the
    configuration, secrets included. `failure` says why there is no result, "" where there is.
    """

    lines: Sequence[Line]
    began_at: int
    took_ms: int
    version: str
    failure: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict of a set-up's check on all of it."""
        return worst(self.lines)


class Checks:
    """Runs checks of set-ups: `check` asks Adobe; `now_ms` is the time in ms since 1970."""

    def __init__(self, check: Check, now_ms: Callable[[], int]) -> None:
        self._check = check
        self._now_ms = now_ms
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._done: OrderedDict[str, Checked] = OrderedDict()

    def last(self, integration: str) -> Checked | None:
        """The last result of an integration's check."""
        return self._done.get(integration)

    def is_running(self, integration: str) -> bool:
        """Whether a check of an integration goes on now."""
        return integration in self._running

    async def run(self, integration: Integration, patience_seconds: float) -> None:
        """Check an integration's set-up, or join the check that runs; returns when it is done, or
        after so long.
        """
        task = self._running.get(integration.id)
        if task is None:
            task = asyncio.create_task(self._run(integration))
            self._running[integration.id] = task
            task.add_done_callback(lambda _: self._running.pop(integration.id, None))
        await asyncio.wait({task}, timeout=patience_seconds)

    async def stop(self) -> None:
        """End the checks that run."""
        tasks = list(self._running.values())
        for one in tasks:
            one.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, integration: Integration) -> None:
        async with self._slots:
            began_at, began = self._now_ms(), time.monotonic()
            lines: Sequence[Line] = ()
            failure = ""
            try:
                async with asyncio.timeout(_LONGEST_SECONDS):
                    lines = await self._check(integration)
            except TimeoutError:
                failure = f"Adobe gave no answer within {_LONGEST_SECONDS:g} s"
            except Exception as error:  # a fault of ours must not end in silence
                failure = f"the check itself has failed ({type(error).__name__})"
                log.error("console.check_failed", integration=integration.id, error=failure)
            took_ms = int((time.monotonic() - began) * 1000)
            version = integration.version
            self._done[integration.id] = Checked(lines, began_at, took_ms, version, failure)
            self._done.move_to_end(integration.id)
            if len(self._done) > _MOST_KEPT:
                self._done.popitem(last=False)
