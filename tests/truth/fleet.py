"""A fleet of real workers on a real broker, the emulator of Adobe, and many histories at once."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import aio_pika
import structlog
from pydantic import SecretStr
from yarl import URL

from devtools.soak.customer import ADOBE_ORGANIZATION, SCHEMA, SHARED_SET_UP
from devtools.waiting import wait_until
from tests.truth.history import History, Pause, Publish, Rest, Stage
from tests.truth.ledger import Door, Ledger, Teller
from tests.truth.mortal import Life, of_the_living
from worker.adobe.attempt import AdobeClient
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import open_session
from worker.broker.dead_letter import describe
from worker.broker.dead_letter_queue import DeadLetters
from worker.broker.delay import NativeDelay
from worker.broker.session_settings import SessionSettings, address_of
from worker.broker.supervisor import Supervisor
from worker.broker.topology import build_topology, declare
from worker.delivery.build_pipeline import build_pipeline
from worker.delivery.pipeline_limits import PipelineLimits
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.coherence import Surroundings
from worker.integrations.model import Integration, Missing
from worker.ordering.memory_store import MemoryStore
from worker.ordering.redis_store import RedisStore
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import NewestStore, Timing
from worker.ordering.user_digests import UserKeys
from worker.sandbox.app import Sandbox
from worker.sandbox.emulator_state import Profile
from worker.settings import WorkerSettings
from worker.wire.connecting import connect
from worker.wire.message_tap import TappedTransport

BUDGET_SECONDS = 2.0
ATTEMPT_SECONDS = 1.0
LEASE_SECONDS = 5.0
LOSS_SECONDS = 7.0
"""Longer than a lease: what was accepted is settled when others may have sent something older."""
UNCLEAR_SECONDS = 4.0
CLOCK_LEADS = (0.0, 300.0, -300.0)
SETTLE_SECONDS = 90.0
LOOK_AGAIN_SECONDS = 0.2
LOOKS = 2
LOOKS_FOR_LOST = 30
HOPELESS = "no-identity"
ACTIONS = ("replay", "discard", "leave", "leave")
LAST_ACTIONS = ("replay", "replay", "discard")
_SHIELDED = frozenset({"unexpected-error", "invalid-headers", "unroutable"})


DisturbanceKind = Literal[
    "kill", "cut-broker", "cut-redis", "lose-redis", "cut-adobe", "revoke-tokens", "letters"
]


@dataclass(frozen=True)
class Disturbance:
    """`worker` is the number of the one that it meets."""

    at: float
    kind: DisturbanceKind
    worker: int

    def __str__(self) -> str:
        return f"{self.at:.2f} s {self.kind} {self.worker}"


@dataclass(frozen=True)
class Plan:
    """Many histories at once, and what happens to the fleet meanwhile; it follows from its seed."""

    seed: int
    workers: int
    prefetch: int
    disturbances: list[Disturbance]
    histories: Sequence[History]

    @classmethod
    def draw(cls, seed: int, histories: Sequence[History], workers: int) -> Self:
        """A single worker is not killed: its state is in its memory, and dies with it."""
        chance = random.Random(seed)
        kinds: list[DisturbanceKind] = [
            "cut-broker",
            "cut-adobe",
            "revoke-tokens",
            "letters",
            "letters",
        ]
        if workers > 1:
            kinds += ["kill", "kill", "kill", "cut-redis", "lose-redis"]
        disturbances = sorted(
            (
                Disturbance(chance.uniform(0.5, 6), chance.choice(kinds), chance.randrange(workers))
                for _ in range(12)
            ),
            key=lambda one: one.at,
        )
        return cls(seed, workers, chance.choice((20, 1000)), disturbances, histories)

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.workers} workers, prefetch {self.prefetch}; " + "; ".join(
            map(str, self.disturbances)
        )


class Worker:
    """The parts of `worker.service`, put together with a clock of their own."""

    def __init__(self, fleet: Fleet, name: str, clock_lead: float, store: NewestStore) -> None:
        self._fleet = fleet
        self._name = name
        self._clock_lead = clock_lead
        self._store = store
        self._broker: Supervisor | None = None
        self.life = Life()
        self._running = self.life.begin(self._run())

    @property
    def is_idle(self) -> bool:
        """Whether it is connected and has nothing in hand."""
        session = self._broker.session if self._broker else None
        return session is not None and session.in_hand == 0

    async def stop(self) -> None:
        """Stop in order."""
        if self._broker is not None:
            self._broker.stop()
        await self._running

    async def _run(self) -> None:
        fleet = self._fleet
        policy = EndpointPolicy(("127.0.0.1",), True)
        gate = StoreGate(self._store)
        async with open_session(policy, ATTEMPT_SECONDS) as http:
            pipeline = build_pipeline(
                routes=fleet,
                sender=AdobeClient(
                    http,
                    policy,
                    ims_url=f"{fleet.sandbox.url}/ims/token/v3",
                    platform_url=fleet.sandbox.url,
                ),
                gate=gate,
                users=UserKeys(),
                policy=RetryPolicy(BUDGET_SECONDS, ATTEMPT_SECONDS),
                delay=NativeDelay(fleet.settings.namespace),
                queues=fleet.topology.names,
                limits=PipelineLimits(
                    max_event_bytes=100_000,
                    poison_after=5,
                    block_probe_seconds=0.2,
                    block_patience_seconds=3.0,
                    unclear_seconds=UNCLEAR_SECONDS,
                ),
                observer=Teller(fleet.ledger, self._name),
                clock=_clock(self._clock_lead),
            )
            handler = Door(pipeline, fleet.ledger, fleet.targets)
            self._broker = Supervisor(SessionSettings.of(fleet.settings), fleet.topology, handler)
            try:
                await self._broker.run()
            finally:
                await gate.stop()


class Fleet:
    """Runs a plan; an async context manager, in a `MortalLoop`. Knows the integrations (`Routes`).

    `state_url` as `CONSENT_WORKER_STATE_URL`: without Redis it is one worker.
    """

    def __init__(self, plan: Plan, amqp_url: str, state_url: str, namespace: str) -> None:
        self.plan = plan
        self.ledger = Ledger()
        self.sandbox = Sandbox()
        self.settings = WorkerSettings(
            amqp_url=SecretStr(amqp_url),
            namespace=namespace,
            state_url=SecretStr(state_url),
            prefetch_events=plan.prefetch,
            prefetch_retries=plan.prefetch,
            watch_seconds=1,
            publish_timeout_seconds=120,  # one that is only slow would be published twice
        )
        self.topology = build_topology(namespace, "native", 20)
        self.targets = {one.organization: one.targets for one in plan.histories}
        self.killed = 0
        self._kept = {one.organization for one in plan.histories if not one.may_discard}
        self._rested = 0
        self._chance = random.Random(plan.seed)
        self._amqp_url = amqp_url
        self._state_url = state_url
        self._timing = Timing(LEASE_SECONDS, 3600)
        self._own_store = self._store_of_one_worker()
        self._integrations: dict[str, Integration] = {}
        self._stack = AsyncExitStack()
        self._workers: list[Worker] = []

    # Routes

    def for_organization(self, organization_id: str) -> list[Integration]:
        return [self._integrations[one] for one in self.targets.get(organization_id, ())]

    def undoubted_for(self, organization_id: str) -> list[Integration]:
        return self.for_organization(organization_id)

    def get(self, integration_id: str) -> Integration | None:
        return self._integrations.get(integration_id)

    def disabled_for(self, _: str) -> list[Integration]:
        """All are enabled."""
        return []

    def doubt_about(self, _: str) -> str | None:
        """All organizations are known."""
        return None

    def missing_for(self, _: str) -> Mapping[str, Missing]:
        return {}

    def doubt_about_all(self) -> str | None:
        return None

    # From start to settled

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.sandbox)
        self._connection = await self._stack.enter_async_context(
            await aio_pika.connect(self._amqp_url)
        )
        await declare(self._connection, self.topology)
        self._stack.push_async_callback(self._delete_queues)
        self._publishing = await self._connection.channel(publisher_confirms=True)
        self._watching = await self._connection.channel()
        self.sandbox.state.organization.put(SHARED_SET_UP)
        for history in self.plan.histories:
            for target in history.targets:
                self._integrations[target] = self._integration(history, target)
                self.sandbox.state.organization.put(history.set_up(target))
            for email in history.known_before():
                record = {"personalEmail": {"address": email}}
                known = Profile(f"known-{history.seed}", email, record)
                self.sandbox.state.profiles[known.dataset_id, email] = known
        self._logs = self._stack.enter_context(structlog.testing.capture_logs())
        structlog.get_config()["processors"].insert(0, of_the_living)
        self._workers = [self._new_worker(number) for number in range(self.plan.workers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            await worker.stop()
        await self._stack.aclose()

    async def run(self) -> None:
        """Let everything happen, mend everything, replay all dead letters, and wait until all is
        settled. AssertionError if it never is.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._disturb())
            for number, history in enumerate(self.plan.histories):
                group.create_task(self._play(history, number / len(self.plan.histories) * 2))
        self.sandbox.state.clear_faults()
        try:
            await wait_until(self._is_at_rest_for_good, "everything at rest", SETTLE_SECONDS)
        except AssertionError as problem:
            raise AssertionError(
                "\n".join([str(problem), *(await self.problems()).values()])
            ) from None

    async def problems(self) -> dict[str, str]:
        """What is not as it must be, by the organization of the history, and at "" what concerns
        none; empty when all is well.
        """
        found: dict[str, str] = {}
        left = await self._dead_letters_left()
        for history in self.plan.histories:
            wrong = [*self._wrong_profiles(history), *self._wrong_counts(history, left)]
            if wrong:
                lines = [f"\n{history}", *wrong, *self._stories(history)]
                found[history.organization] = "\n".join(lines)
        odd = self.ledger.dead.keys() & _SHIELDED
        crashes = [one for one in self._logs if "unexpected" in str(one["event"])]
        if odd or crashes:
            found[""] = f"faults of the worker's own: {odd} {crashes}"
        return found

    def _wrong_profiles(self, history: History) -> list[str]:
        wrong = []
        for target in history.targets:
            for user in range(history.users):
                profile = self.sandbox.state.profiles.get((target, history.email(user)))
                record = profile.record.get("_acme") if profile else None
                problems = history.wrong(target, user, record, self.ledger)
                wrong += [f"  WRONG at {target}: of user {user} {one}" for one in problems]
        failures = [one for one in self.sandbox.state.failures if one["inlet"] in history.targets]
        return wrong + [f"  WRONG, Adobe has dropped a message: {one}" for one in failures]

    def _wrong_counts(self, history: History, left: Counter[tuple[str, str]]) -> list[str]:
        wrong = []
        hopeless = history.hopeless
        for target in history.targets:
            for event_id in {one.id for one in history.published}:
                fate = self.ledger.fates[target, event_id]
                if problem := fate.problem():
                    wrong.append(f"  WRONG at {target}: {event_id} was {problem}")
                letters = left[target, event_id]
                least = fate.published if event_id in hopeless else 0
                most = fate.published + fate.redelivered if event_id in hopeless else 0
                if not least <= letters <= most:
                    wrong.append(f"  WRONG at {target}: {event_id} left {letters} dead letters")
        return wrong

    def _stories(self, history: History) -> list[str]:
        lines = []
        for (target, event_id), fate in self.ledger.fates.items():
            if target in history.targets:
                lines.append(f"  {event_id} at {target}:")
                lines += [f"    {one}" for one in fate.story]
        for request in self.sandbox.state.requests:
            if request["inlet"] in history.targets:
                body = request["body"]
                for message in body.get("messages", [body]):
                    record = message["body"].get("xdmEntity", message["body"])
                    lines.append(
                        f"  Adobe got at {request['inlet']}, answered {request['status']}: {record}"
                    )
        return lines

    # What happens

    async def _play(self, history: History, start: float) -> None:
        """What is published between two pauses comes in one burst."""
        await asyncio.sleep(start)
        async with asyncio.TaskGroup() as burst:
            for step in history.steps:
                match step:
                    case Pause(seconds):
                        await asyncio.sleep(seconds)
                    case Stage(description):
                        self.sandbox.state.inject(**description)
                    case Rest(most_seconds):
                        await self._rest(history, most_seconds)
                    case Publish(event):
                        document = json.dumps(history.document(event)).encode()
                        self.ledger.names.give(document, history.organization, event.id)
                        for target in history.targets:
                            self.ledger.publish(target, event.id)
                        burst.create_task(self._publish(document))

    async def _rest(self, history: History, most_seconds: float) -> None:
        """Until all of it has ended so far; some need an operator, and are not waited for."""

        def has_ended() -> bool:
            fates = self.ledger.fates.items()
            return all(fate.has_ended for (target, _), fate in fates if target in history.targets)

        with suppress(AssertionError):
            await wait_until(has_ended, "the end", most_seconds)

    async def _publish(self, document: bytes) -> None:
        message = aio_pika.Message(document, delivery_mode=2)
        await self._publishing.default_exchange.publish(message, self.topology.names.events)

    async def _disturb(self) -> None:
        began = asyncio.get_running_loop().time()
        for one in self.plan.disturbances:
            await asyncio.sleep(began + one.at - asyncio.get_running_loop().time())
            life = self._workers[one.worker].life
            match one.kind:
                case "kill":
                    await life.end()
                    self.killed += 1
                    self._workers[one.worker] = self._new_worker(one.worker)
                case "cut-broker":
                    life.cut(_port(self._amqp_url))
                case "cut-redis":
                    life.cut(_port(self._state_url))
                case "lose-redis":
                    life.lose(_port(self._state_url), LOSS_SECONDS)
                case "cut-adobe":
                    life.cut(_port(self.sandbox.url))
                case "revoke-tokens":
                    self.sandbox.state.tokens.clear()
                case "letters":
                    await self._work_off_letters(lambda: self._chance.choice(ACTIONS))

    async def _work_off_letters(self, what_to_do: Callable[[], str]) -> int:
        """Replay, discard or leave each dead letter, as the commands do; how many were taken off.

        What can never be delivered is left lying.
        """
        taken_off = 0
        transport = TappedTransport()
        async with await connect(address_of(self.settings), "letters", transport) as connection:
            publishing = await connection.channel(publisher_confirms=True)
            names = self.topology.names
            letters = DeadLetters(connection, transport, publishing, names)
            async for message in letters.read(await letters.count(), lambda letter: letter):
                letter = describe(message)
                organization, event_id = self.ledger.names.of_body(message.body)
                action = "leave" if letter.reason == HOPELESS else what_to_do()
                if action == "discard" and organization in self._kept:
                    action = "replay"
                if action == "leave":
                    continue
                taken_off += 1
                fate = self.ledger.write(letter.integration or "", event_id, f"operator: {action}")
                if action == "replay":
                    fate.replayed += 1
                    await letters.replay(message, self.settings.max_event_bytes)
                else:
                    fate.discarded += 1
                    await letters.discard(message)
            await letters.give_back()
        return taken_off

    async def _is_at_rest_for_good(self) -> bool:
        """Whether nothing goes on. Whether all has gone well is another question.

        What is handed on from queue to queue may be in none for a moment. So events that have not
        ended are given more time, and if they are lost, the wait is over some time.
        """
        if not await self._is_at_rest():
            self._rested = 0
            return False
        self._rested += 1
        has_ended = all(fate.has_ended for fate in self.ledger.fates.values())
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return self._rested >= (LOOKS if has_ended else LOOKS_FOR_LOST)

    async def _is_at_rest(self) -> bool:
        for queue in self.topology.queues:
            left = await self._depth(queue.name)
            if queue.name == self.topology.names.dead_letters:
                is_more = left > sum(self._hopeless().values())
                if is_more and await self._work_off_letters(self._last_action):
                    return False
            elif left:
                return False
        return all(worker.is_idle for worker in self._workers)

    def _last_action(self) -> str:
        return self._chance.choice(LAST_ACTIONS)

    def _hopeless(self) -> dict[tuple[str, str], int]:
        """How many dead letters each event that can't be delivered has left, at the least."""
        return {
            (target, event.id): self.ledger.fates[target, event.id].published
            for history in self.plan.histories
            for target in history.targets
            for event in history.published
            if event.id in history.hopeless
        }

    async def _dead_letters_left(self) -> Counter[tuple[str, str]]:
        """By integration and event; they are taken off the queue."""
        left: Counter[tuple[str, str]] = Counter()
        queue = await self._watching.get_queue(self.topology.names.dead_letters)
        while message := await queue.get(fail=False, no_ack=True):
            letter = describe(message)
            left[letter.integration or "", self.ledger.names.of_body(message.body)[1]] += 1
        return left

    async def _depth(self, name: str) -> int:
        declared = await self._watching.declare_queue(name, passive=True)
        return declared.declaration_result.message_count or 0

    async def _delete_queues(self) -> None:
        channel = await self._connection.channel()
        for queue in self.topology.queues:
            await channel.queue_delete(queue.name)

    def _new_worker(self, number: int) -> Worker:
        store = self._own_store
        if store is None:
            store = RedisStore(self._state_url, self._timing, namespace=self.settings.namespace)
        name = f"worker {number}" + f" (life {self.killed + 1})" * (self.killed > 0)
        return Worker(self, name, CLOCK_LEADS[number % len(CLOCK_LEADS)], store)

    def _store_of_one_worker(self) -> NewestStore | None:
        if self.settings.state_kind == "memory":
            return MemoryStore(self._timing)
        if self.settings.state_kind == "sqlite":
            return SqliteStore(Path(self._state_url.removeprefix("sqlite://")), self._timing)
        return None

    def _integration(self, history: History, target: str) -> Integration:
        return Integration.model_validate(
            {
                "id": target,
                "organization_id": history.organization,
                "type_id": "adobe-experience-cloud",
                "authentication": {
                    "client_id": f"client-{target}",
                    "client_secret": "secret",
                    "api_key": f"key-{target}",
                },
                "properties": {
                    "organization_id": ADOBE_ORGANIZATION,
                    "dataflow_endpoint": f"{self.sandbox.url}/collection/{target}",
                    "dataflow_id": f"flow-{target}",
                    "schema_id": SCHEMA,
                    "dataset_id": target,
                    "user_identifier": ["email"],
                },
                "limits": history.limits,
            }
            | history.integration(),
            context=Surroundings(
                has_lasting_state=self.settings.state_kind != "memory", has_secret=True
            ),
        )


def _clock(lead: float) -> Callable[[], float]:
    return lambda: time.time() + lead


def _port(url: str) -> int:
    return URL(url).port or 0
