"""The worker put together: what `consent-worker run` runs, from start to a clean stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from functools import partial

import aiohttp
import structlog

from worker.adobe.check.kind import ask_kind
from worker.adobe.check.watch import SetUpWatch
from worker.adobe.client import AdobeClient
from worker.adobe.clock import ClockOffset
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http import open_session
from worker.broker.delay import DelayKindTargets, NativeDelay, PluginDelay
from worker.broker.session_settings import SessionSettings
from worker.broker.supervisor import Supervisor
from worker.broker.topology import build_topology
from worker.change_log import report_change
from worker.delivery.assembly import build_pipeline
from worker.delivery.inlets.asking import InletQuestions
from worker.delivery.inlets.known import KnownInlets
from worker.delivery.lanes.lane import Lane
from worker.delivery.limits import PipelineLimits
from worker.delivery.pipeline import Pipeline
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.rounds.store_gate import StoreGate
from worker.file_limit import prepare_files
from worker.integrations.changes import Change
from worker.integrations.completion import DEVICES, Surroundings
from worker.integrations.model import Integration
from worker.integrations.registry import IntegrationRegistry
from worker.integrations.secrets import SecretSource
from worker.integrations.standing import Standing
from worker.listing import first
from worker.observability.metrics import Metrics
from worker.observability.outcomes import OutcomeLog
from worker.observability.server import ObservabilityServer
from worker.ordering.secret import GUESSABLE, SecretRefused
from worker.ordering.state_takeover import take_over
from worker.ordering.store import NewestStore, StoreUnavailable
from worker.settings import (
    UnusableSetting,
    WorkerSettings,
    judge_environment,
    old_names_in_use,
    unknown_in_use,
)
from worker.stores import LastingStore, build_store, seals, user_keys

log = structlog.get_logger(__name__)

CLOCK_NOTE_SECONDS = 30.0
"""From how far off the others' clocks ours is told of."""
REMEMBERED_SECONDS = 86_400.0
REMEMBER_EVERY_SECONDS = 60.0
"""How long, and how often told, an integration counts as one that was in force lately."""
RECALL_SECONDS = 0.5
_IN_MEMORY = (
    "what was sent before this start is forgotten: an older choice that comes late may replace a "
    "newer one. CONSENT_WORKER_STATE_URL keeps it"
)


def endpoint_policy(settings: WorkerSettings) -> EndpointPolicy:
    """Which endpoints may be called under these settings."""
    return EndpointPolicy(settings.allowed_hosts, settings.allow_insecure)


def secret_source(settings: WorkerSettings) -> SecretSource:
    """Where the references of an integration may lead under these settings."""
    return SecretSource(os.environ, settings.secret_env_prefix, settings.secret_directories)


def build_registry(settings: WorkerSettings) -> IntegrationRegistry:
    """The registry of the settings' directory, not loaded yet."""
    return IntegrationRegistry(
        settings.integrations,
        endpoint_policy(settings).problem,
        secret_env_prefix=settings.secret_env_prefix,
        secret_directories=settings.secret_directories,
        grace_seconds=settings.integration_grace_seconds,
        unknown_organization=settings.unknown_organization,
        surroundings=surroundings(settings),
    )


def surroundings(settings: WorkerSettings) -> Surroundings:
    """What is around a worker that may be needed by an integration."""
    return Surroundings(
        has_lasting_state=settings.state_kind != "memory",
        has_secret=bool(settings.ordering_secret.get_secret_value()),
    )


def build_client(settings: WorkerSettings, http: aiohttp.ClientSession) -> AdobeClient:
    """The client of Adobe. Raises `UnusableSetting` for a URL that may not be called."""
    policy = endpoint_policy(settings)
    for name in ("ims_url", "platform_url"):
        if problem := policy.service_problem(getattr(settings, name)):
            raise UnusableSetting(f"setting CONSENT_WORKER_{name.upper()}: {problem}")
    return AdobeClient(
        http,
        policy,
        ims_url=settings.ims_url,
        platform_url=settings.platform_url,
        fingerprint_key=settings.ordering_secret.get_secret_value().encode(),
    )


class Service:
    """One worker process. `registry` must be loaded."""

    def __init__(self, settings: WorkerSettings, registry: IntegrationRegistry) -> None:
        self._settings = settings
        self._registry = registry
        self._metrics = Metrics()
        self._topology = build_topology(settings.namespace, settings.delay, settings.delivery_limit)
        self._broker: Supervisor | None = None
        self._gate: StoreGate | None = None
        self._set_up: SetUpWatch | None = None
        self._inlets = KnownInlets()
        self._questions: InletQuestions | None = None
        self._pipeline: Pipeline | None = None
        self._stopping = False
        self._may_begin = asyncio.Event()
        self._clock = ClockOffset()
        self._server = ObservabilityServer(
            self._metrics, self.problems, self.notes, self._refresh_metrics
        )

    def problems(self) -> list[str]:
        """What keeps this worker from working now, for readiness."""
        problems = []
        if self._stopping:
            problems.append("stopping")
        if not self._registry.has_any:
            problems.append("integrations: none is valid, see the notes")
        session = self._broker.session if self._broker else None
        if self._broker is not None and self._broker.stands_by:
            pass  # it is there to take over, and says so in a note
        elif session is None:
            reason = self._broker.last_problem if self._broker else "not started"
            problems.append(f"broker: {reason}")
        elif session.publish_trouble:
            problems.append(f"broker: {session.publish_trouble}")
        if self._gate is not None and not self._gate.is_open:
            problems.append(f"ordering: {self._gate.problem}")
        return problems

    def notes(self) -> list[str]:
        """What does not, but should be looked at. Anybody may read it: nothing of it is Adobe's."""
        blocked = (
            f"integration {lane.integration.id} is blocked: {lane.block.failure.error}; "
            "the log has more of it, integration.blocked"
            for lane in self._lanes()
            if lane.block.failure is not None
        )
        notes = self._registry.notes + first(blocked, "more integrations that are blocked")
        if self._set_up is not None:
            notes += self._set_up.notes
        if self._broker is not None and self._broker.stands_by:
            lock = self._topology.names.single_worker
            notes.append(
                f"stands by and consumes nothing: another worker holds the queue {lock}; more than "
                "one at work needs Redis (CONSENT_WORKER_STATE_URL)"
            )
        forgetful = (
            f"integration {one.id}: {DEVICES}"
            for one in self._sent_by()
            if one.replaces_record and one.events == "user" and one.enabled
        )
        notes += first(forgetful, "more integrations of which the same is true")
        if self._questions is not None:
            notes += first(self._questions.notes, "more integrations whose inlet is raw now")
        store = self._gate.store if self._gate is not None else None
        if isinstance(store, LastingStore) and store.digests_are_guessable:
            notes.append(GUESSABLE)
        if self._gate is not None and self._gate.epochs.problem:
            notes.append(self._gate.epochs.problem)
        offset = self._clock.seconds
        if offset is not None and abs(offset) >= CLOCK_NOTE_SECONDS:
            notes.append(
                f"this worker's clock is {abs(offset):.0f} s {'slow' if offset > 0 else 'fast'}, "
                "by the replies of Adobe"
            )
        return notes

    def _sent_by(self) -> list[Integration]:
        """The integrations with the mode that is known of their inlets; none where it can't do
        harm that the state does not last.
        """
        if self._settings.state_kind != "memory":
            return []
        found = {one.configured.id: one.in_force for one in self._inlets.cases}
        return [found.get(one.id, one) for one in self._registry.integrations]

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT. Raises `TopologyConflict`, `UnusableSetting`, and OSError
        for a taken port.
        """
        settings = self._settings
        if settings.delay == "plugin":
            log.warning(
                "delay.plugin",
                detail="a waiting message has one copy on one node and is lost with it; "
                "the plugin is archived since RabbitMQ 4.3",
            )
        for sentence in old_names_in_use():
            log.warning("settings.old_name", detail=sentence)
        judgement = judge_environment()
        for sentence in unknown_in_use(judgement):
            log.warning("settings.unknown", detail=sentence)
        if judgement.links:
            log.info("settings.service_links", ignored=judgement.links)
        prepare_files(self._registry.integrations)
        store = build_store(settings)
        if store.epochs is None:
            log.warning("ordering.in_memory", detail=_IN_MEMORY)
        policy = endpoint_policy(settings)
        retries = RetryPolicy(settings.retry_budget_seconds, settings.longest_attempt_seconds)
        async with open_session(policy, retries.attempt_timeout_seconds, self._clock) as http:
            client = build_client(settings, http)
            gate = self._gate = StoreGate(store)
            await self._check_secret(gate)
            inlets = self._ask_inlets(client, gate)
            pipeline = self._pipeline = build_pipeline(
                routes=self._registry,
                sender=client,
                gate=gate,
                users=user_keys(settings),
                seals=seals(settings),
                policy=retries,
                delay=delay_targets(settings),
                queues=self._topology.names,
                limits=PipelineLimits(
                    settings.max_event_bytes,
                    settings.poison_after,
                    settings.block_probe_seconds,
                    settings.block_patience_seconds,
                    max(1, settings.prefetch_events // 2),
                    settings.prefetch_retries,
                    settings.unclear_seconds,
                ),
                observer=OutcomeLog(self._metrics, self._registry.knows),
                inlets=inlets.known,
            )
            self._broker = Supervisor(SessionSettings.of(settings), self._topology, pipeline)
            self._stop_on_signals(self._broker)
            await gate.check()  # before anybody can ask whether this worker is ready
            port = await self._server.start(settings.http_host, settings.http_port)
            log.info("worker.started", http_port=port, integrations=len(self._registry))
            watching = asyncio.create_task(
                self._registry.watch(
                    settings.reload_seconds, partial(self._integrations_changed, client)
                )
            )
            asking = asyncio.create_task(gate.watch(settings.watch_seconds))
            doubting = asyncio.create_task(inlets.run())
            checking = self._check_set_up(client)
            remembering: asyncio.Task[None] | None = None
            try:
                await self._recall(store, gate, inlets)
                remembering = asyncio.create_task(self._remember_integrations(store))
                await self._first_integration()
                await self._broker.run()
            finally:
                watching.cancel()
                asking.cancel()
                doubting.cancel()
                await inlets.stop()
                if checking is not None:
                    checking.cancel()
                if remembering is not None:
                    remembering.cancel()
                await gate.stop()
                await self._server.stop()
        log.info("worker.stopped")

    def _ask_inlets(self, client: AdobeClient, gate: StoreGate) -> InletQuestions:
        """What finds out of which kind inlets are, and keeps it in the store."""
        inlets = InletQuestions(partial(ask_kind, client), gate.store.inlets)
        gate.epochs.when_lost(inlets.keep_again)
        self._inlets, self._questions = inlets.known, inlets
        return inlets

    @staticmethod
    async def _check_secret(gate: StoreGate) -> None:
        """Raises `UnusableSetting` for a secret that does not fit what is in the state. While it is
        away nothing is sent, and the same is asked when it is back.
        """
        if isinstance(gate.store, LastingStore):
            try:
                await gate.store.admit()
            except SecretRefused as refused:
                await gate.stop()
                raise UnusableSetting(
                    f"setting CONSENT_WORKER_ORDERING_SECRET: {refused}"
                ) from None
            except StoreUnavailable as problem:
                gate.close(problem)

    async def _recall(self, store: NewestStore, gate: StoreGate, inlets: InletQuestions) -> None:
        """Learn which integrations were in force lately, before any event is handled: one whose
        file is gone would else be passed over. And what is known of their inlets.
        """
        while not self._stopping:
            try:
                self._registry.remember(await store.remembered_integrations())
                await self._learn_state_ids(store)
                await inlets.recall([one.state_id for one in self._registry.integrations])
            except StoreUnavailable as problem:
                gate.close(problem)
                await asyncio.sleep(RECALL_SECONDS)
            else:
                return

    async def _learn_state_ids(self, store: NewestStore) -> None:
        """Where the state of each integration is; from now on at each change as well. Raises
        `StoreUnavailable`.
        """

        async def ask(standing: Standing) -> Mapping[str, str] | None:
            try:
                return await take_over(store.state_ids, standing)
            except StoreUnavailable as problem:
                if self._gate is not None:
                    self._gate.close(problem)
                return None

        self._registry.ask_states = ask
        change = await self._registry.settle()
        if change is None:
            raise StoreUnavailable("it is not known where the state of each integration is")
        if self._set_up is not None:
            self._set_up.ask(change.loaded)

    async def _remember_integrations(self, store: NewestStore) -> None:
        """Share with the fleet, and with who comes after a restart, which integrations are in
        force: one whose file is gone is in doubt for a day.
        """
        registry = self._registry
        while True:
            try:
                await store.remember_integrations(registry.lately_in_force(), REMEMBERED_SECONDS)
                if dismissed := registry.lately_dismissed():
                    await store.remember_integrations(dismissed, 0)
                registry.remember(await store.remembered_integrations())
            except StoreUnavailable as problem:  # the gate tells of it where it matters
                log.debug("integrations.not_remembered", detail=str(problem))
            await asyncio.sleep(REMEMBER_EVERY_SECONDS)

    async def _first_integration(self) -> None:
        """Return when an integration is valid, or the worker is to stop: until then no event could
        go anywhere.
        """
        if self._registry.has_any:
            return
        log.error("integrations.none", detail="no integration is valid; nothing is consumed")
        await self._may_begin.wait()

    def _check_set_up(self, client: AdobeClient) -> asyncio.Task[None] | None:
        """Hold all integrations against Adobe, beside delivery, where the settings ask for it."""
        if not self._settings.check_set_up:
            return None

        def find(integration_id: str) -> Integration | None:
            is_enabled = self._registry.is_enabled(integration_id)
            return self._registry.get(integration_id) if is_enabled else None

        self._set_up = SetUpWatch(client, find)
        self._set_up.ask(one.id for one in self._registry.integrations)
        return asyncio.create_task(self._set_up.run())

    def _integrations_changed(self, client: AdobeClient, change: Change) -> None:
        report_change(change)
        client.keep_credentials_of(self._registry.integrations)
        if self._set_up is not None:
            self._set_up.ask(change.loaded)
        if self._registry.has_any:
            self._may_begin.set()

    def _stop_on_signals(self, broker: Supervisor) -> None:
        def stop() -> None:
            log.info("worker.stopping")
            self._stopping = True
            self._may_begin.set()
            broker.stop()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)

    def _lanes(self) -> list[Lane]:
        """The lanes of integrations that are in use."""
        if self._pipeline is None:
            return []
        self._pipeline.lanes.drop_unused(self._registry.is_enabled)
        return list(self._pipeline.lanes)

    def _refresh_metrics(self) -> None:
        metrics, broker = self._metrics, self._broker
        if broker is not None:
            metrics.reconnects.set(broker.reconnects)
            metrics.refused.set(broker.refused)
            if broker.session is not None:
                metrics.in_flight.set(broker.session.in_hand)
                for queue, depth in broker.session.depths.items():
                    metrics.queue_messages.labels(queue).set(depth)
        if self._gate is not None:
            metrics.ordering_available.set(int(self._gate.is_open))
            metrics.unreadable_values.set(self._gate.store.unreadable_values)
            metrics.state_lost.set(int(bool(self._gate.epochs.problem)))
        for state, number in self._registry.counts().items():
            metrics.integrations.labels(state).set(number)
        metrics.forget_lanes()
        for lane in self._lanes():
            label = lane.integration.id
            metrics.lane_held.labels(label).set(lane.held)
            metrics.lane_window.labels(label).set(lane.window.size)
            metrics.lane_blocked.labels(label).set(int(lane.block.is_on))


def delay_targets(settings: WorkerSettings) -> DelayKindTargets:
    """The kind of delay that the settings ask for."""
    if settings.delay == "plugin":
        return PluginDelay(settings.namespace)
    return NativeDelay(settings.namespace)
