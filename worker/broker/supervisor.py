"""Keeps a session with RabbitMQ up: opens one, watches it, and opens the next when it is lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import structlog

from worker.broker.declare_refusals import TopologyConflict
from worker.broker.message import Handler
from worker.broker.session import Session
from worker.broker.session_settings import SessionSettings
from worker.broker.topology import Topology
from worker.wire.connecting import is_connection_error, told_as_lost, why_unreachable

log = structlog.get_logger(__name__)

MAX_PAUSE_SECONDS = 3.0
IDLE_LIMIT_SECONDS = 10.0
OPEN_TIMEOUT_SECONDS = 8.0

Answer = TypeVar("Answer")


class Counts(NamedTuple):
    """Messages since the start: all that were `taken` are `settled` (acknowledged, or to be), in
    hand, or `returned`: the session was lost, and the broker has them again. `receipted` is counted
    apart from these: messages of which every delivery was put on record, or knowingly was not.
    """

    taken: int
    settled: int
    in_hand: int
    returned: int
    receipted: int


class Supervisor:
    """Runs sessions one after the other until told to stop.

    `session` is the present one, or None while there is none. `stands_by` says that there is none
    because another worker is to be the only one. Errors of the broker never end it, except
    `TopologyConflict`, which no waiting heals.
    """

    def __init__(self, settings: SessionSettings, topology: Topology, handler: Handler) -> None:
        self._settings = settings
        self._topology = topology
        self._handler = handler
        self._stopping = asyncio.Event()
        self.session: Session | None = None
        self.stands_by = False
        self.reconnects = 0
        self._refused_before = self._taken_before = self._receipted_before = self._returned = 0
        self.last_problem = "not connected yet"

    @property
    def refused(self) -> int:
        """Messages of all sessions that the broker was told to make dead letters of, unread."""
        return self._refused_before + (self.session.refused if self.session is not None else 0)

    @property
    def counts(self) -> Counts:
        """The counts of the messages of all sessions."""
        taken, receipted, in_hand = self._taken_before, self._receipted_before, 0
        if self.session is not None:
            taken += _taken_by(self.session)
            receipted += _receipted_by(self.session)
            in_hand = self.session.in_hand
        settled = taken - in_hand - self._returned
        return Counts(taken, settled, in_hand, self._returned, receipted)

    def stop(self) -> None:
        """Ask `run` to drain the session and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Run sessions; returns after `stop`, when what was in hand is finished or given back."""
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
            await self._in_time(session.connect())
            if await self._may_consume(session):
                await self._in_time(session.open())
                self.session = session
                self.stands_by = False
                self.last_problem = ""
                log.info("broker.connected", namespace=self._topology.names.namespace)
                await self._watch(session)
            if self._stopping.is_set():
                await session.drain(self._settings.shutdown_timeout_seconds)
            else:
                self.last_problem = session.loss_reason
                log.warning("broker.session_lost", reason=session.loss_reason)
        except TopologyConflict:
            raise
        except Exception as error:
            if not is_connection_error(error):
                raise
            problem = why_unreachable(error)
            self.last_problem = f"no session with the broker: {problem}"
            log.warning("broker.unreachable", error=type(error).__name__, detail=problem)
        finally:
            self.session = None
            self._refused_before += session.refused
            self._taken_before += _taken_by(session)
            self._receipted_before += _receipted_by(session)
            self._returned += session.in_hand
            self.stands_by = False
            await session.close()

    async def _may_consume(self, session: Session) -> bool:
        """Stand by until `session` may consume; False when it is lost or the worker is to stop."""
        while not await self._in_time(session.may_consume()):
            if not self.stands_by:
                self.stands_by = True
                log.info("worker.stands_by", lock=self._topology.names.single_worker)
            await self._until_the_end_of(session, self._settings.watch_seconds)
            if session.lost.is_set() or self._stopping.is_set():
                return False
        if self.stands_by:
            log.info("worker.takes_over", lock=self._topology.names.single_worker)
        return True

    @staticmethod
    async def _in_time(work: Coroutine[Any, Any, Answer]) -> Answer:
        opening = asyncio.create_task(work)
        await asyncio.wait({opening}, timeout=OPEN_TIMEOUT_SECONDS)
        if not opening.done():
            # Not awaited: on a stalled connection a cancelled call waits for the broker, too.
            opening.add_done_callback(lambda done: done.cancelled() or done.exception())
            opening.cancel()
            raise TimeoutError
        with told_as_lost():
            return opening.result()

    async def _watch(self, session: Session) -> None:
        """Return when the session is lost or the worker is to stop."""
        while not session.lost.is_set() and not self._stopping.is_set():
            await session.check(IDLE_LIMIT_SECONDS)
            await self._until_the_end_of(session, self._settings.watch_seconds)

    async def _until_the_end_of(self, session: Session, at_most_seconds: float) -> None:
        """Return when the session is lost or the worker is to stop, or after so many seconds."""
        endings = {asyncio.create_task(one.wait()) for one in (session.lost, self._stopping)}
        await asyncio.wait(endings, timeout=at_most_seconds, return_when=asyncio.FIRST_COMPLETED)
        for ending in endings:
            ending.cancel()


def _taken_by(session: Session) -> int:
    return sum(intake.taken for intake in session.intakes)


def _receipted_by(session: Session) -> int:
    return sum(intake.receipted for intake in session.intakes)
