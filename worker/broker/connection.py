"""Keeps a session with RabbitMQ up: opens one, watches it, and opens the next when it is lost."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

import structlog

from worker.broker.channels import tells_of_the_line
from worker.broker.refusals import TopologyConflict
from worker.broker.session import Handler, Session
from worker.broker.topology import Topology
from worker.settings import WorkerSettings

log = structlog.get_logger(__name__)

MAX_PAUSE_SECONDS = 3.0
IDLE_LIMIT_SECONDS = 10.0
OPEN_TIMEOUT_SECONDS = 8.0


class Broker:
    """Runs sessions one after the other until told to stop.

    `session` is the present one, or None while there is none. Errors of the broker never end it,
    except `TopologyConflict`, which no waiting heals.
    """

    def __init__(self, settings: WorkerSettings, topology: Topology, handler: Handler) -> None:
        self._settings = settings
        self._topology = topology
        self._handler = handler
        self._stopping = asyncio.Event()
        self.session: Session | None = None
        self.reconnects = 0
        self.last_problem = "not connected yet"

    def stop(self) -> None:
        """Ask `run` to drain and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Returns after `stop`, when what was in hand is finished or given back."""
        pause = 0.1
        while not self._stopping.is_set():
            started = time.monotonic()
            await self._run_session()
            if self._stopping.is_set():
                break
            self.reconnects += 1
            if time.monotonic() - started > 10:
                pause = 0.1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _run_session(self) -> None:
        session = Session(self._settings, self._topology, self._handler)
        try:
            opening = asyncio.create_task(session.open())
            await asyncio.wait({opening}, timeout=OPEN_TIMEOUT_SECONDS)
            if not opening.done():
                # Not awaited: on a stalled line a cancelled call waits for the broker, too.
                opening.add_done_callback(lambda done: done.cancelled() or done.exception())
                opening.cancel()
                raise TimeoutError
            opening.result()
            self.session = session
            self.last_problem = ""
            log.info("broker.connected", namespace=self._topology.names.namespace)
            await self._watch(session)
            if self._stopping.is_set():
                await session.drain(self._settings.shutdown_timeout)
            else:
                self.last_problem = session.loss_reason
                log.warning("broker.session_lost", reason=session.loss_reason)
        except TopologyConflict:
            raise
        except Exception as error:
            if not tells_of_the_line(error):
                raise
            self.last_problem = f"no session with the broker: {type(error).__name__}"
            log.warning("broker.unreachable", error=type(error).__name__)
        finally:
            self.session = None
            await session.close()

    async def _watch(self, session: Session) -> None:
        """Return when the session is lost or the worker is to stop."""
        lost = asyncio.create_task(session.lost.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not lost.done() and not stopping.done():
                await session.check(IDLE_LIMIT_SECONDS)
                await asyncio.wait(
                    {lost, stopping},
                    timeout=self._settings.watch_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            lost.cancel()
            stopping.cancel()
