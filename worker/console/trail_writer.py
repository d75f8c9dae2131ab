"""Writes to the trail who did what in the console."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from worker.broker.act_writer import ActWriter, TrailAway
from worker.broker.chain_writer import ChainWriter
from worker.console.sessions import Session
from worker.evidence.act import Act, ActName, new_act_id
from worker.settings import WorkerSettings

log = structlog.get_logger(__name__)

_MOST_WAITING: Final = 1_000
"""Acts that are kept while the broker is away."""
_AGAIN_SECONDS: Final = 5.0


class Trail:
    """Writes acts to the trail: `write` waits until acts are on record. `note` is for what is over
    or is none to be stopped: it waits for nothing, and is written later where the broker is away.
    """

    def __init__(self, settings: WorkerSettings, now_ms: Callable[[], int]) -> None:
        self._writer = ActWriter(settings, "console-trail", now_ms)
        self._now_ms = now_ms
        self._waiting: deque[ChainWriter] = deque(maxlen=_MOST_WAITING)
        self._sending = asyncio.Lock()
        self._sending_soon: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Acts that are not on record yet."""
        return len(self._waiting)

    def act_of(
        self,
        session: Session,
        name: ActName,
        *,
        about: str,
        integration: str = "",
        why: str = "",
        result: str = "",
    ) -> Act:
        """An act that is over as soon as it is told, by whose session it is."""
        return Act(
            id=new_act_id(),
            name=name,
            stage="ended",
            who=session.name,
            role=session.role.word,
            at=self._now_ms(),
            integration=integration,
            about=about,
            why=why,
            result=result,
        )

    async def write(self, *acts: Act) -> None:
        """Put acts on record in one message, and what waits before it. Raises `TrailAway`: then
        nothing may be done that they tell of.
        """
        async with self._sending:
            await self._send_waiting()
            await self._writer.write(*acts)

    def note(self, *acts: Act) -> None:
        """Put acts on record soon, one after the other in one message."""
        self._waiting.append(self._writer.prepared(*acts))
        if self._sending_soon is None:
            self._sending_soon = asyncio.create_task(self._send_soon())

    async def close(self) -> None:
        """Try once more to write the acts that wait."""
        if self._sending_soon is not None:
            self._sending_soon.cancel()
            await asyncio.gather(self._sending_soon, return_exceptions=True)
        if self._waiting:
            await self._try_once()

    async def _send_soon(self) -> None:
        """Until it is on record: what has ended would have no end in the trail."""
        try:
            while self._waiting:
                if not await self._try_once():
                    await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            self._sending_soon = None

    async def _try_once(self) -> bool:
        async with self._sending:
            try:
                await self._send_waiting()
            except TrailAway as trouble:
                log.warning("console.trail_away", detail=str(trouble), waiting=self.waiting)
                return False
            return True

    async def _send_waiting(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            await self._writer.send(first)
            if self._waiting and self._waiting[0] is first:  # it may have made room meanwhile
                self._waiting.popleft()
