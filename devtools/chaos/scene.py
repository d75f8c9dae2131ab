"""Everything that a run starts: cluster, balancer, Redis, the emulator of Adobe, workers and a
ledger.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from pydantic import SecretStr

from devtools.chaos.balancer import Balancer
from devtools.chaos.blows import Target
from devtools.chaos.check import Profiles
from devtools.chaos.cluster import NODES, Cluster
from devtools.chaos.customers import CUSTOMERS, Customer
from devtools.chaos.fleet import Member
from devtools.chaos.story import Story
from devtools.choices import Event, mappings
from devtools.native_redis import NativeRedis
from devtools.native_redis_cluster import NativeRedisCluster
from devtools.stack import Stack
from worker.broker.broker_access import topology_of
from worker.broker.session_settings import address_of
from worker.broker.topology import Topology, declare
from worker.sandbox.emulator_state import Profile
from worker.settings import WorkerSettings
from worker.wire.connecting import connect

NAMESPACE: Final = "consent"
WORKERS: Final = 3
BUDGET_SECONDS: Final = 60
UNCLEAR_SECONDS: Final = 20
"""Longer than the endpoints of the table take to carry out what they have not answered."""
_CONSUMING_SECONDS: Final = 120.0
_REDIS_OPTIONS: Final = ("--appendfsync", "always")


class Scene:
    """An async context manager. Raises what servers raise that can't be had."""

    def __init__(self, story: Story, queues: int, *, redis_cluster: bool) -> None:
        self._story = story
        self._event_queues = ("events", *(f"events.{one}" for one in range(2, queues + 1)))
        self._exit = AsyncExitStack()
        self.cluster = Cluster()
        self.redis: NativeRedis | NativeRedisCluster = (
            NativeRedisCluster(_REDIS_OPTIONS)
            if redis_cluster
            else NativeRedis(options=_REDIS_OPTIONS)
        )
        self.balancer = Balancer([node.port for node in self.cluster.nodes])
        self.workers: list[Member] = []
        self.ledger: list[Member] = []

    @property
    def settings(self) -> WorkerSettings:
        """Of whoever speaks to the broker by the balancer."""
        url = self.cluster.url(self.balancer.port)
        return WorkerSettings(
            amqp_url=SecretStr(url), namespace=NAMESPACE, event_queues=self._event_queues
        )

    @property
    def topology(self) -> Topology:
        """What is on the broker."""
        return topology_of(self.settings)

    @property
    def targets(self) -> dict[str, Sequence[Target]]:
        """What can be struck, by its kind."""
        return {
            "node": self.cluster.nodes,
            "worker": self.workers,
            "redis": self.redis_servers,
            "ledger": self.ledger,
        }

    @property
    def ledger_file(self) -> Path:
        """Of SQLite."""
        return self.stack.path / "ledger.sqlite"

    @property
    def redis_servers(self) -> list[NativeRedis]:
        """The one, or the masters of a cluster."""
        return [self.redis] if isinstance(self.redis, NativeRedis) else self.redis.masters

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    async def _start(self) -> None:
        self._exit.callback(self.cluster.remove)
        self._exit.callback(self.redis.__exit__)
        await asyncio.gather(
            asyncio.to_thread(self.cluster.start), asyncio.to_thread(self.redis.start)
        )
        await self._exit.enter_async_context(self.balancer)
        await self._declare()
        self.stack = Stack(
            self.settings.amqp_url.get_secret_value(),
            NAMESPACE,
            EVENT_QUEUES=",".join(self._event_queues),
            STATE_URL=self.redis.url,
            RETRY_BUDGET_SECONDS=BUDGET_SECONDS,
            UNCLEAR_SECONDS=UNCLEAR_SECONDS,
            WATCH_SECONDS=3,
            LOG_LEVEL="debug",
            RECEIPTS="on",
            RECEIPTS_SECRET=secrets.token_hex(16),
        )
        self.stack.override("LEDGER_URL", f"sqlite://{self.ledger_file}")
        await self._exit.enter_async_context(self.stack)
        for customer in CUSTOMERS:
            changes = customer.changes | {"mappings": mappings()}
            self.stack.add_integration(customer.id, **changes)
        self._exit.callback(self._let_go_on)
        for number in range(1, WORKERS + 1):
            started = Member(f"worker {number}", self.stack.start_worker, self._story.wrong)
            self.workers.append(started)
        self.ledger.append(Member("the ledger", self.stack.start_ledger, self._story.wrong))
        await self.stack.wait_until_consuming(_CONSUMING_SECONDS)

    async def _declare(self) -> None:
        """Before a worker does, to see that all queues have a copy on each node."""
        async with await connect(address_of(self.settings), "chaos") as connection:
            await declare(connection, self.topology)
        members = await asyncio.to_thread(self.cluster.members)
        if few := {name: count for name, count in members.items() if count != NODES}:
            raise RuntimeError(f"these queues have too few copies: {few}")

    def _let_go_on(self) -> None:
        """What is stalled could not stop in order."""
        for targets in self.targets.values():
            for one in targets:
                one.go_on()

    def seed_profiles(self, drawn: Mapping[Customer, Iterable[Event]]) -> None:
        """Of those whom Adobe knows, where there is a look-up."""
        for customer, events in drawn.items():
            if customer.looks_up:
                for user in {event.user for event in events if customer.knows(event.user)}:
                    email = customer.email(user)
                    known = Profile("known", email, {"personalEmail": {"address": email}})
                    self.stack.sandbox.state.profiles["known", email] = known

    def profiles(self) -> Profiles:
        """What the emulator has now."""
        by_dataset = {customer.dataset: customer.id for customer in CUSTOMERS}
        return {
            (by_dataset[dataset], identity): profile.record.get("_acme")
            for (dataset, identity), profile in self.stack.sandbox.state.profiles.items()
            if dataset in by_dataset
        }

    def gather(self, kept: Path) -> None:
        """Copy to `kept` what is needed to find the cause of something."""
        for number, node in enumerate(self.cluster.nodes, 1):
            if (node.home / "log").exists():
                shutil.copytree(node.home / "log", kept / f"node-{number}")
        for number, server in enumerate(self.redis_servers, 1):
            shutil.copy(server.home / "output", kept / f"redis-{number}.txt")
        for pattern in ("worker-*.log", "ledger-*.log", f"{self.ledger_file.name}*"):
            for file in self.stack.path.glob(pattern):
                shutil.copy(file, kept)
        with (kept / "requests.jsonl").open("w") as journal:
            for request in self.stack.sandbox.state.requests:
                journal.write(json.dumps(request) + "\n")
