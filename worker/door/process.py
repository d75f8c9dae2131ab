"""One door process, from start to a clean stop."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import structlog
from aiohttp import web

from worker.broker.ensured_topology import ensure
from worker.broker.publishing_connection import PublishingConnection
from worker.broker.session_settings import address_of
from worker.broker.topology import build_topology
from worker.door.answers import TOO_SLOW
from worker.door.client_address import ClientAddresses
from worker.door.credentials import Credentials
from worker.door.door_metrics import DoorMetrics
from worker.door.event_publishing import GATHER_SECONDS, EventPublishing
from worker.door.event_queues import EventQueues
from worker.door.received_events import DoorFacts, ReceivedEvents
from worker.door.webhook_requests import WebhookRequests
from worker.file_limit import raise_limit
from worker.listening_ports import DOOR, listening
from worker.observability.http_server import ObservabilityServer, listen
from worker.observability.receipt_metrics import ReceiptMetrics
from worker.receipts.receipt_writer import ReceiptWriter
from worker.receipts.user_hashes import UserHashes
from worker.receipts.writer_from_settings import build_writer
from worker.serving.http_connections import ROOM_BYTES, Lines
from worker.serving.http_protocol import BoundedProtocol
from worker.settings import WorkerSettings
from worker.store_choice import user_keys

log = structlog.get_logger(__name__)


class Door:
    """One door process. Raises `UnusableSetting` for credentials that let everybody in."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._metrics = DoorMetrics()
        self._stopping = asyncio.Event()
        topology = build_topology(
            settings.namespace, settings.delay, settings.delivery_limit, settings.event_queues
        )
        self._received = ReceivedEvents(self._metrics, user_keys(settings))
        self._publishing = EventPublishing(
            partial(
                PublishingConnection,
                address_of(settings),
                partial(ensure, topology=topology),
                "door",
                GATHER_SECONDS,
            ),
            EventQueues(topology.names.event_targets),
            self._received,
        )
        self._requests = WebhookRequests(
            Credentials(settings),
            ClientAddresses(settings.door_trusted_proxies),
            self._publishing,
            self._metrics,
            settings.max_event_bytes,
            settings.door_answer_seconds,
        )
        self._receipts = self._writer()
        self._inspection = ObservabilityServer(
            self._metrics, self._problems, self._notes, self._refresh
        )
        self._server = web.Server(self._requests.handle)
        self._lines = self._requests.lines = Lines(
            partial(BoundedProtocol, self._server, self._requests.unreadable),
            settings.door_answer_seconds,
            settings.max_event_bytes + ROOM_BYTES,
            TOO_SLOW,
        )
        self.port = self.http_port = 0
        """Of webhooks, and of health and metrics; 0 before they are there."""

    def stop(self) -> None:
        """Ask the door to answer what is under way, and `run` to return."""
        self._stopping.set()

    async def run(self) -> None:
        """Take webhooks until `stop`. Raises `TopologyConflict`, and `PortUnusable` for each of
        its ports.
        """
        settings = self._settings
        raise_limit()
        self.http_port = await self._inspection.start(settings.http_host, settings.http_port)
        publishing = asyncio.create_task(self._publishing.run())
        stopping = asyncio.create_task(self._stopping.wait())
        listener: asyncio.Server | None = None
        try:
            if self._receipts is not None:
                self._receipts.start()
            listener = await self._listen()
            self.port = int(listener.sockets[0].getsockname()[1])
            log.info("door.started", port=self.port, http_port=self.http_port)
            await asyncio.wait({publishing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if publishing.done():
                publishing.result()
            log.info("door.stopping", under_way=self._lines.under_way)
        finally:
            stopping.cancel()
            await self._finish(listener, publishing)
        log.info("door.stopped")

    async def _listen(self) -> asyncio.Server:
        host, port = self._settings.door_host, self._settings.door_port
        with listening(host, port, DOOR):
            return await listen(self._lines, host, port)

    async def _finish(
        self, listener: asyncio.Server | None, publishing: asyncio.Task[None]
    ) -> None:
        """Take nothing more, let what is under way be answered, and let go of everything."""
        self._stopping.set()
        self._requests.is_stopping = True
        if listener is not None:
            listener.close()
        self._lines.stop()
        await self._server.shutdown(self._settings.door_answer_seconds)
        publishing.cancel()
        await asyncio.wait({publishing})
        if self._receipts is not None:
            await self._receipts.close()
        await self._inspection.stop()

    def _writer(self) -> ReceiptWriter | None:
        """What writes receipts, where the settings ask for them."""
        settings = self._settings
        if settings.receipts == "off":
            return None
        hashes = UserHashes(None, settings.receipts_retention_days)
        facts = DoorFacts(self._received, lambda: self._publishing.in_hand)
        self._received.book = writer = build_writer(settings, hashes, facts)
        ReceiptMetrics(writer, self._metrics.registry)
        return writer

    def _problems(self) -> list[str]:
        problems = ["stopping"] if self._stopping.is_set() else []
        if self._publishing.trouble:
            problems.append(f"broker: {self._publishing.trouble}")
        return problems

    def _notes(self) -> list[str]:
        notes = [self._publishing.note] if self._publishing.note else []
        if self._receipts is not None and self._receipts.trouble:
            trouble = self._receipts.trouble
            notes.append(f"receipts are away, and events are taken without: {trouble}")
        return notes

    def _refresh(self) -> None:
        self._metrics.ready.set(int(not self._problems()))
        self._metrics.in_hand.set(self._publishing.in_hand)
        self._metrics.connections.set(len(self._lines))


async def run_door(settings: WorkerSettings) -> None:
    """Run a door until SIGTERM or SIGINT. Raises as `Door.run` does, and `UnusableSetting`."""
    door = Door(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, door.stop)
    await door.run()
