"""Writes to the trail who did what: into the stream of the receipts, chained as all there is.

Each act is in a chain of its own, with a beginning and an end, so that a console which sleeps for
days leaves no chain whose beginning falls with the stream's retention.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from worker.broker.broker_access import what_happened
from worker.broker.chain_writer import ChainWriter
from worker.broker.session_settings import address_of
from worker.broker.topology import Names
from worker.console.sessions import Session
from worker.errors import ServerTrouble
from worker.evidence.act import Act, ActName, encode_act, new_act_id
from worker.evidence.chain import Chain, process_name
from worker.redaction import redact
from worker.settings import WorkerSettings
from worker.wire.connecting import PublishError, is_connection_error, why_unreachable

log = structlog.get_logger(__name__)

_MOST_WAITING: Final = 1_000
"""Acts that are kept while the broker is away."""
_AGAIN_SECONDS: Final = 5.0


class TrailAway(ServerTrouble):
    """An act can't be put on record now; the text says why and what to do."""


class Trail:
    """`write` waits until an act is on record. `note` is for what is over or is none to be stopped:
    it waits for nothing, and is written later where the broker is away.
    """

    def __init__(self, settings: WorkerSettings, now_ms: Callable[[], int]) -> None:
        self._address = address_of(settings)
        self._queue = Names(settings.namespace).receipts
        self._secret = settings.receipts_secret.get_secret_value().encode()
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

    async def write(self, act: Act) -> None:
        """Put an act on record, and what waits before it. Raises `TrailAway`: then nothing may be
        done that the act tells of.
        """
        async with self._sending:
            await self._send_waiting()
            await self._send(self._writer_of(act))

    def note(self, *acts: Act) -> None:
        """Put acts on record soon, one after the other in one message."""
        self._waiting.append(self._writer_of(*acts))
        if self._sending_soon is None:
            self._sending_soon = asyncio.create_task(self._send_soon())

    async def close(self) -> None:
        """Try once more what waits."""
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
            await self._send(self._waiting[0])
            self._waiting.popleft()

    def _writer_of(self, *acts: Act) -> ChainWriter:
        now_ms = self._now_ms()
        chain = Chain(process_name(), self._secret)
        writer = ChainWriter(self._address, "console-trail", self._queue, chain)
        writer.add("trail", [encode_act(_masked(one)) for one in acts], now_ms)
        writer.end(now_ms)
        return writer

    async def _send(self, writer: ChainWriter) -> None:
        try:
            await writer.send()
        except PublishError:
            raise TrailAway(
                f"the trail can't be written: there is no stream {self._queue}; a worker makes "
                "it, unless CONSENT_WORKER_RECEIPTS=off"
            ) from None
        except Exception as error:
            if not is_connection_error(error):
                raise
            why = why_unreachable(error) if isinstance(error, OSError) else what_happened(error)
            raise TrailAway(f"the trail can't be written: {why}") from None


def _masked(act: Act) -> Act:
    """What a person has typed may have an address or a secret in it."""
    return act._replace(about=redact(act.about), why=redact(act.why), result=redact(act.result))
