"""One worker process, from start to a clean stop."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import structlog

from worker.adobe.attempt import AdobeClient
from worker.adobe.check.background_checks import SetUpWatch
from worker.adobe.check.inlet_kind import ask_kind
from worker.adobe.endpoints import INSECURE
from worker.adobe.http_client import open_session
from worker.broker.session_settings import SessionSettings
from worker.broker.supervisor import Supervisor
from worker.broker.topology import build_topology
from worker.delivery.build_pipeline import build_pipeline
from worker.delivery.inlets.inlet_questions import InletQuestions
from worker.delivery.lanes.lane_registry import Lanes
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.rounds.store_gate import StoreGate
from worker.environment_warnings import tell_of_environment
from worker.file_limit import prepare_files
from worker.integration_change_log import report_change
from worker.integrations.change_summary import Change
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.model import Integration
from worker.observability.http_server import ObservabilityServer
from worker.observability.metrics import Metrics
from worker.observability.outcome_log import OutcomeLog
from worker.observability.receipt_metrics import ReceiptMetrics
from worker.ordering.store_protocol import NewestStore
from worker.service.beside_delivery import begin_beside
from worker.service.pipeline_from_settings import build_client, delay_targets, pipeline_limits
from worker.service.readiness import notes, problems
from worker.service.receipt_parts import Receipts
from worker.service.registry_from_settings import endpoint_policy
from worker.service.running_parts import Parts
from worker.service.state_at_start import FleetMemory, check_secret
from worker.service.told_gauges import refresh
from worker.service.worker_facts import WorkerFacts
from worker.settings import WorkerSettings
from worker.store_choice import build_store, seals, user_keys

log = structlog.get_logger(__name__)


def tell_of_settings(settings: WorkerSettings) -> None:
    """Log what is peculiar about the settings and the environment variables that they are from."""
    if settings.delay == "plugin":
        log.warning(
            "delay.plugin",
            detail="a waiting message has one copy on one node and is lost with it; "
            "the plugin is archived since RabbitMQ 4.3",
        )
    if settings.allow_insecure:
        log.warning("settings.insecure", detail=INSECURE)
    tell_of_environment()


_IN_MEMORY = (
    "what was sent before this start is forgotten: an older choice that comes late may replace a "
    "newer one. CONSENT_WORKER_STATE_URL keeps it"
)


class Service:
    """One worker process. `registry` must be loaded."""

    def __init__(self, settings: WorkerSettings, registry: IntegrationRegistry) -> None:
        self._metrics = Metrics()
        self._metrics.know(registry.known_ids)
        topology = build_topology(
            settings.namespace, settings.delay, settings.delivery_limit, settings.event_queues
        )
        self._parts = Parts(settings, registry, topology)
        self._may_begin = asyncio.Event()
        self._stop_at = 0.0
        self._server = ObservabilityServer(
            self._metrics,
            partial(problems, self._parts),
            partial(notes, self._parts),
            partial(refresh, self._metrics.gauges, self._parts),
        )

    async def run(self) -> None:
        """Run the worker until SIGTERM or SIGINT. Raises `TopologyConflict`, `UnusableSetting` and
        `PortUnusable`.
        """
        parts, settings, registry = self._parts, self._parts.settings, self._parts.registry
        tell_of_settings(settings)
        prepare_files(registry.integrations)
        store = build_store(settings)
        if store.epochs is None:
            log.warning("ordering.in_memory", detail=_IN_MEMORY)
        policy = endpoint_policy(settings)
        retries = RetryPolicy(settings.retry_budget_seconds, settings.longest_attempt_seconds)
        limit = retries.attempt_timeout_seconds
        async with open_session(policy, limit, parts.clock, parts.replies) as http:
            client = parts.client = build_client(settings, http)
            gate = parts.gate = StoreGate(store)
            await check_secret(gate)
            inlets = self._ask_inlets(client, gate)
            memory = FleetMemory(parts, gate, inlets)
            receipts = self._receipts(store)
            pipeline = parts.pipeline = build_pipeline(
                routes=registry,
                sender=client,
                gate=gate,
                users=user_keys(settings),
                seals=seals(settings),
                policy=retries,
                delay=delay_targets(settings),
                queues=parts.topology.names,
                limits=pipeline_limits(settings),
                observer=OutcomeLog(self._metrics, registry.knows),
                receipts=parts.receipts,
                is_known=registry.has_known,
                inlets=inlets.known,
                ask_fleet=memory.ask,
            )
            session = SessionSettings.of(settings)
            broker = parts.broker = Supervisor(session, parts.topology, pipeline)
            self._stop_on_signals(broker)
            await gate.check()  # before anybody can ask whether this worker is ready
            port = await self._server.start(settings.http_host, settings.http_port)
            log.info("worker.started", http_port=port, integrations=len(registry))
            changed = partial(self._integrations_changed, client, memory)
            watching = begin_beside(
                "integrations", lambda: registry.watch(settings.reload_seconds, changed)
            )
            asking = asyncio.create_task(gate.watch(settings.watch_seconds))
            doubting = begin_beside("inlets", inlets.run)
            checking = self._check_set_up(client)
            remembering: asyncio.Task[None] | None = None
            try:
                await memory.recall()
                await receipts.start()
                remembering = begin_beside("fleet", memory.share)
                await self._first_integration()
                await self._run_to_the_end(broker, pipeline.lanes)
            finally:
                watching.cancel()
                asking.cancel()
                doubting.cancel()
                await inlets.stop()
                if checking is not None:
                    checking.cancel()
                if remembering is not None:
                    remembering.cancel()
                await receipts.stop()
                await gate.stop()
                await self._server.stop()
        log.info("worker.stopped")

    def _ask_inlets(self, client: AdobeClient, gate: StoreGate) -> InletQuestions:
        """What finds out of which kind inlets are, and keeps it in the store."""
        inlets = InletQuestions(partial(ask_kind, client), gate.store.inlets)
        gate.epochs.when_lost(inlets.keep_again)
        self._parts.questions = inlets
        return inlets

    def _receipts(self, store: NewestStore) -> Receipts:
        """What writes receipts."""
        receipts = Receipts(self._parts.settings, store, WorkerFacts(self._parts))
        self._parts.receipts = receipts.writer
        if receipts.writer is not None:
            ReceiptMetrics(receipts.writer, self._metrics.registry)
        return receipts

    async def _first_integration(self) -> None:
        """Return when an integration is valid, or the worker is to stop: until then no event could
        go anywhere.
        """
        if self._parts.registry.has_any:
            return
        log.error("integrations.none", detail="no integration is valid; nothing is consumed")
        await self._may_begin.wait()

    def _check_set_up(self, client: AdobeClient) -> asyncio.Task[None] | None:
        """Hold all integrations against Adobe, beside delivery, where the settings ask for it."""
        if not self._parts.settings.check_set_up:
            return None
        registry = self._parts.registry

        def find(integration_id: str) -> Integration | None:
            is_enabled = registry.is_enabled(integration_id)
            return registry.get(integration_id) if is_enabled else None

        watch = self._parts.set_up = SetUpWatch(client, find)
        watch.ask(one.id for one in registry.integrations)
        return begin_beside("set-up", watch.run)

    def _integrations_changed(
        self, client: AdobeClient, memory: FleetMemory, change: Change
    ) -> None:
        if self._parts.registry.has_any:
            self._may_begin.set()  # first of all: a fault in what follows must not keep it waiting
        memory.tell()
        self._metrics.know(self._parts.registry.known_ids)
        client.keep_credentials_of(self._parts.registry.integrations)
        if self._parts.set_up is not None:
            self._parts.set_up.ask(change.loaded)
        report_change(change)

    async def _run_to_the_end(self, broker: Supervisor, lanes: Lanes) -> None:
        """Until the worker is to stop, and what is under way has ended or its time is over."""
        await broker.run()
        await lanes.wait_for_rounds(self._stop_at - asyncio.get_running_loop().time())

    def _stop_on_signals(self, broker: Supervisor) -> None:
        def stop() -> None:
            log.info("worker.stopping")
            self._parts.is_stopping = True
            if not self._stop_at:  # a second signal gives no more time
                self._stop_at = loop.time() + self._parts.settings.shutdown_timeout_seconds
            self._may_begin.set()
            broker.stop()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
