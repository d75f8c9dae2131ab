"""One run: everything starts, is struck, heals, and is checked."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import traceback
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from devtools.chaos import check
from devtools.chaos.balancer import Balancer
from devtools.chaos.blows import KINDS, Target, blows, strike
from devtools.chaos.check import Ends, Letter, Profiles
from devtools.chaos.cluster import NODES, Cluster
from devtools.chaos.customers import CUSTOMERS, Customer, draw, in_order_of_publishing
from devtools.chaos.fleet import Worker
from devtools.chaos.held import nothing_held
from devtools.chaos.outages import fail, outages
from devtools.chaos.producer import Producer
from devtools.chaos.story import Story
from devtools.choices import event_of, mappings
from devtools.native_rabbitmq import BrokerUnavailable
from devtools.native_redis import NativeRedis, RedisUnavailable
from devtools.stack import Stack
from worker.broker.connecting import connect
from worker.broker.topology import build_topology, declare
from worker.sandbox.state import Profile
from worker.settings import WorkerSettings

NAMESPACE: Final = "consent"
WORKERS: Final = 3
BUDGET_SECONDS: Final = 60
_SETTLE_SECONDS: Final = 420.0
"""The retry budget, the end of a lost worker's leases, and the longest parking, on a machine that
has other work.
"""
_PUBLISHING_SHARE: Final = 0.85
"""Of the time of trouble: what comes last meets some of it, too."""


@dataclass(frozen=True)
class Options:
    seed: int
    seconds: int
    events: int


class Chaos:
    """Everything that is started belongs to the stack of `run`."""

    def __init__(self, options: Options, story: Story) -> None:
        self._options = options
        self._story = story
        self._drawn = draw(options.seed, options.events)
        self.cluster = Cluster()
        self.redis = NativeRedis(options=("--appendfsync", "always"))
        self._stack: Stack | None = None
        self._workers: list[Worker] = []

    async def run(self) -> None:
        """Broken promises are told to the story, and so is what keeps the run from its end. Raises
        what servers raise that can't be had.
        """
        async with AsyncExitStack() as stack:
            try:
                await self._start(stack)
                await self._play()
            except (BrokerUnavailable, RedisUnavailable):
                raise
            except Exception as error:
                self._story.wrong(f"the run broke off: {_reason(error)}")
                self._story.tell(traceback.format_exc())
            if self._story.problems:
                self._gather()

    async def _play(self) -> None:
        await self._trouble()
        await self._settled("after healing")
        letters = await self._letters("before")
        self._check("before the replay", letters)
        await self._replay(letters)
        await self._settled("after the replay")
        left = await self._letters("after")
        self._check("after the replay", left)
        self._story.all_wrong("after the replay", check.beyond_hope(self._drawn, left))
        self._sum_up(letters, left)

    # From start to trouble

    async def _start(self, stack: AsyncExitStack) -> None:
        stack.callback(self.cluster.remove)
        stack.callback(self.redis.__exit__)
        await asyncio.gather(
            asyncio.to_thread(self.cluster.start), asyncio.to_thread(self.redis.start)
        )
        balancer = Balancer([node.port for node in self.cluster.nodes])
        await stack.enter_async_context(balancer)
        url = self.cluster.url(balancer.port)
        self._settings = WorkerSettings(amqp_url=SecretStr(url), namespace=NAMESPACE)
        await self._declare()
        self._stack = Stack(
            url,
            NAMESPACE,
            REDIS_URL=self.redis.url,
            RETRY_BUDGET=BUDGET_SECONDS,
            WATCH_SECONDS=3,
            LOG_LEVEL="debug",
        )
        await stack.enter_async_context(self._stack)
        stack.callback(self._let_go_on)
        for customer in CUSTOMERS:
            changes = customer.changes | {"mappings": mappings()}
            self._stack.add_integration(customer.id, **changes)
        self._seed_profiles()
        self._workers = [
            Worker(self._stack, number, self._story.wrong) for number in range(1, WORKERS + 1)
        ]
        await self._stack.wait_until_consuming(120)
        self._story.say(
            f"RabbitMQ {self.cluster.version()}, {NODES} nodes; {WORKERS} workers; "
            f"{self._options.events} events for {len(CUSTOMERS)} integrations; "
            f"{self._options.seconds:g} s of trouble"
        )

    async def _declare(self) -> None:
        """Before a worker does, so that all queues have a copy on each node in any case."""
        topology = build_topology(NAMESPACE, "native", self._settings.delivery_limit)
        connection = await connect(self._settings, "chaos")
        async with connection:
            await declare(connection, topology)
        few = {
            name: count
            for name, count in (await asyncio.to_thread(self.cluster.members)).items()
            if count != NODES
        }
        if few:
            raise RuntimeError(f"these queues have too few copies: {few}")

    def _seed_profiles(self) -> None:
        """Of those whom Adobe knows, where there is a look-up."""
        for customer, events in self._drawn.items():
            if customer.looks_up:
                for user in {event.user for event in events if customer.knows(event.user)}:
                    email = customer.email(user)
                    known = Profile("known", email, {"personalEmail": {"address": email}})
                    self._stack.sandbox.state.profiles["known", email] = known

    async def _trouble(self) -> None:
        """Returns when everything is back, and all is published."""
        seed, seconds, tell = self._options.seed, self._options.seconds, self._story.tell
        until = time.monotonic() + seconds
        order = in_order_of_publishing(seed, self._drawn)
        queue = f"{NAMESPACE}.events"
        self._producer = Producer(self._settings, queue, order, seconds * _PUBLISHING_SHARE, tell)
        targets: dict[str, list[Target]] = {
            "node": list(self.cluster.nodes),
            "worker": list(self._workers),
            "redis": [self.redis],
        }
        async with asyncio.TaskGroup() as group:
            group.create_task(self._producer.run())
            struck = {
                kind.name: group.create_task(
                    strike(targets[kind.name], blows(seed, kind), kind.name, until, tell)
                )
                for kind in KINDS
            }
            failed = [
                group.create_task(
                    fail(self._stack.sandbox.state, one.id, outages(seed, one.id), until, tell)
                )
                for one in CUSTOMERS
            ]
        for worker in self._workers:
            worker.look()
        await asyncio.to_thread(self.cluster.wait_for_all)
        blows_told = ", ".join(f"{task.result()} on {name}s" for name, task in struck.items())
        self._story.say(
            f"Everything is back: {blows_told} blows; "
            f"{sum(task.result() for task in failed)} outages of endpoints"
        )

    # What holds then

    async def _settled(self, when: str) -> None:
        self._story.say(f"Waiting until nobody holds anything {when}")
        found = await nothing_held(
            self.cluster, self.redis.url, NAMESPACE, _SETTLE_SECONDS, self._story.tell
        )
        self._story.all_wrong(when, [f"after {_SETTLE_SECONDS:g} s {one}" for one in found])
        for worker in self._workers:
            worker.look()

    def _check(self, when: str, letters: list[Letter]) -> None:
        entries = self._stack.log_entries()
        problems = [
            *check.lost(self._producer.confirmed, Ends.of(entries), letters),
            *check.stale(self._drawn, self._profiles(), letters),
            *check.own_faults(entries, letters),
        ]
        self._story.all_wrong(when, problems)

    def _profiles(self) -> Profiles:
        by_dataset = {customer.dataset: customer.id for customer in CUSTOMERS}
        return {
            (by_dataset[dataset], identity): profile.record.get("_acme")
            for (dataset, identity), profile in self._stack.sandbox.state.profiles.items()
            if dataset in by_dataset
        }

    async def _letters(self, when: str) -> list[Letter]:
        """By the command of operators, which leaves them where they are."""
        code, out, said = await self._stack.command("dead-letters", "export", "-")
        if code:
            raise RuntimeError(f"dead-letters export ended with {code}: {said}")
        name = f"dead-letters-{when}-the-replay.jsonl"
        (self._story.directory / name).write_text(out)
        return [_letter(json.loads(line)) for line in out.splitlines()]

    async def _replay(self, letters: list[Letter]) -> None:
        self._story.say(f"Replaying {len(letters)} dead letters")
        code, out, said = await self._stack.command("dead-letters", "replay", "--json")
        replayed = json.loads(out)["replayed"] if code == 0 else 0
        if replayed != len(letters):
            self._story.wrong(f"dead-letters replay ended with {code}: {out} {said}")

    def _sum_up(self, letters: list[Letter], left: list[Letter]) -> None:
        ends = Ends.of(self._stack.log_entries())
        for customer in CUSTOMERS:
            skipped = ", ".join(
                f"{count} {reason}" for reason, count in ends.reasons[customer.id].most_common()
            )
            self._story.say(
                f"  {customer.id}: {_of(customer, self._producer.confirmed)} published, "
                f"{_of(customer, ends.delivered)} delivered, skipped: {skipped}; dead letters: "
                f"{_letters_of(customer, letters)}, {_letters_of(customer, left)} after the replay"
            )

    def _let_go_on(self) -> None:
        """What is stalled could not stop in order."""
        for one in (*self.cluster.nodes, self.redis, *self._workers):
            one.go_on()

    def _gather(self) -> None:
        """Copy to the story's directory what is needed to find a cause."""
        kept = self._story.directory
        for number, node in enumerate(self.cluster.nodes, 1):
            if (node.home / "log").exists():
                shutil.copytree(node.home / "log", kept / f"node-{number}")
        if (self.redis.home / "output").exists():
            shutil.copy(self.redis.home / "output", kept / "redis.txt")
        for log in self._stack.path.glob("worker-*.log") if self._stack else ():
            shutil.copy(log, kept)
        with (kept / "requests.jsonl").open("w") as journal:
            for request in self._stack.sandbox.state.requests if self._stack else ():
                journal.write(json.dumps(request) + "\n")


def _reason(error: BaseException) -> str:
    """The first cause, where several tasks failed."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _of(customer: Customer, counts: Counter[tuple[str, str]]) -> int:
    return sum(count for (integration, _), count in counts.items() if integration == customer.id)


def _letters_of(customer: Customer, letters: list[Letter]) -> int:
    return sum(one.integration == customer.id for one in letters)


def _letter(document: dict[str, Any]) -> Letter:
    """One that the broker made names no integration; each organization has one here."""
    event = event_of(document["body"].encode())
    integration = document["integration"] or event["organization_id"].removeprefix("org-")
    return Letter(integration, event["id"], document["reason"])
