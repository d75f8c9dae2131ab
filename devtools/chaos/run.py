"""One run: everything starts, is struck, heals, and is checked."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from devtools.chaos import check, on_record
from devtools.chaos.blows import KINDS, blows, strike
from devtools.chaos.check import Ends, Letter
from devtools.chaos.cluster import NODES
from devtools.chaos.customers import CUSTOMERS, draw, in_order_of_publishing
from devtools.chaos.held import nothing_held
from devtools.chaos.ledger_questions import conservation, manipulations
from devtools.chaos.outages import fail, outages
from devtools.chaos.producer import Producer
from devtools.chaos.scene import NAMESPACE, WORKERS, Scene
from devtools.chaos.story import Story
from worker.counting import counted
from worker.ordering.user_digests import UserKeys

_SETTLE_SECONDS: Final = 420.0
"""The retry budget, the end of a lost worker's leases, and the longest parking, on a machine that
has other work.
"""
_PUBLISHING_SHARE: Final = 0.85
"""Of the time of trouble: what comes last meets some of it, too."""


@dataclass(frozen=True)
class Options:
    """How many `seconds` of trouble, how many `events` in all, and by how many `queues` they come;
    and whether Redis is a cluster of three masters, of which one is struck at a time.
    """

    seed: int
    seconds: int
    events: int
    queues: int
    redis_cluster: bool


async def run(options: Options, story: Story) -> None:
    """Broken promises are told to the story, and so is what keeps the run from its end. Raises what
    servers raise that can't be had.
    """
    async with Scene(story, options.queues, redis_cluster=options.redis_cluster) as scene:
        story.say(
            f"RabbitMQ {scene.cluster.version()}, {NODES} nodes; {WORKERS} workers; "
            f"{options.events} events for {len(CUSTOMERS)} integrations by "
            f"{counted(options.queues, 'queue')}; "
            f"Redis on {counted(len(scene.redis_servers), 'server')}; "
            f"{options.seconds} s of trouble"
        )
        try:
            await _Run(options, story, scene).play()
        except Exception as error:
            story.wrong(f"the run broke off: {_reason(error)}")
            story.tell(traceback.format_exc())
        if story.problems:
            scene.gather(story.directory)


class _Run:
    def __init__(self, options: Options, story: Story, scene: Scene) -> None:
        self._options = options
        self._story = story
        self._scene = scene
        self._drawn = draw(options.seed, options.events)
        events = [(customer, one) for customer, drawn in self._drawn.items() for one in drawn]
        keys = UserKeys(scene.stack.env["CONSENT_WORKER_ORDERING_SECRET"].encode())
        self._ids = {customer.told_id(event, keys): event.id for customer, event in events}
        self._by_body = {
            customer.body(event).decode(): (customer, event) for customer, event in events
        }
        self._producer = Producer(
            scene.settings,
            scene.topology.names.event_queues,
            in_order_of_publishing(options.seed, self._drawn),
            options.seconds * _PUBLISHING_SHARE,
            story.tell,
        )

    async def play(self) -> None:
        """From trouble to the last check."""
        self._scene.seed_profiles(self._drawn)
        await self._trouble()
        await self._settled("after healing")
        letters = await self._letters("before")
        self._check("before the replay", letters)
        await self._replay(letters)
        await self._settled("after the replay")
        left = await self._letters("after")
        self._check("after the replay", left)
        self._story.all_wrong("after the replay", check.beyond_hope(self._drawn, left))
        await self._look_at_the_ledger(letters + left)
        self._sum_up(letters, left)

    async def _trouble(self) -> None:
        """Returns when everything is back, and all is published."""
        seed, tell, targets = self._options.seed, self._story.tell, self._scene.targets
        state = self._scene.stack.sandbox.state
        until = time.monotonic() + self._options.seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._producer.run())
            struck = {
                kind.name: group.create_task(
                    strike(targets[kind.name], blows(seed, kind), kind.name, until, tell)
                )
                for kind in (replace(one, targets=len(targets[one.name])) for one in KINDS)
            }
            failed = [
                group.create_task(fail(state, one.id, outages(seed, one.id), until, tell))
                for one in CUSTOMERS
            ]
        self._look_at_members()
        await asyncio.to_thread(self._scene.cluster.wait_for_all)
        told = ", ".join(f"{name} {task.result()}" for name, task in struck.items())
        self._story.say(
            f"Everything is back. Blows: {told}; "
            f"outages of endpoints: {sum(task.result() for task in failed)}"
        )

    async def _settled(self, when: str) -> None:
        self._story.say(f"Waiting until nobody holds anything {when}")
        found = await nothing_held(
            self._scene.cluster,
            [server.url for server in self._scene.redis_servers],
            NAMESPACE,
            _SETTLE_SECONDS,
            self._story.tell,
        )
        self._story.all_wrong(when, [f"after {_SETTLE_SECONDS:g} s {one}" for one in found])
        self._look_at_members()

    def _look_at_members(self) -> None:
        for one in (*self._scene.workers, *self._scene.ledger):
            one.look()

    def _check(self, when: str, letters: list[Letter]) -> None:
        entries = self._scene.stack.log_entries()
        problems = [
            *check.lost(self._producer.confirmed, Ends.of(entries, self._ids), letters),
            *check.stale(self._drawn, self._scene.profiles(), letters),
            *check.own_faults(entries, letters),
        ]
        self._story.all_wrong(when, problems)

    async def _look_at_the_ledger(self, letters: list[Letter]) -> None:
        """Whether it has an end of each event, adds up, and is proven by the stream."""
        self._story.say("Waiting until the ledger has read all, and adds up")
        said = await conservation(self._scene.stack)
        logs, ids = self._scene.stack.worker_logs(), self._ids
        ends = Ends.of((entry for entries in logs for entry in entries), ids)
        recorded = on_record.read_recorded(self._scene.ledger_file, ids)
        excused = set().union(*(on_record.unwritten(entries, ids) for entries in logs))
        published, unreceipted = self._producer.confirmed, said["unreceipted"]
        problems = [
            *(f"missing by the ledger: {one}" for one in said["missing"]),
            *on_record.not_on_record(published, recorded, excused, unreceipted),
            *on_record.wrong_on_record(recorded, ends, letters),
            *await manipulations(self._scene.stack),
        ]
        self._story.all_wrong("by the receipts", problems)
        absent = sum(recorded.get(key) not in on_record.ENDS for key in published)
        self._story.say(
            f"On record: {len(recorded)} of {len(published)} events, {absent} without an end; "
            f"receipts were away, and their worker ended, for up to {len(excused)}; without room "
            f"for a receipt: {sum(unreceipted.values())}"
        )

    async def _letters(self, when: str) -> list[Letter]:
        """By the command of operators, which leaves them where they are."""
        code, out, said = await self._scene.stack.command("dead-letters", "export", "-")
        if code:
            raise RuntimeError(f"dead-letters export ended with {code}: {said}")
        name = f"dead-letters-{when}-the-replay.jsonl"
        (self._story.directory / name).write_text(out)
        return [self._letter(json.loads(line)) for line in out.splitlines()]

    def _letter(self, document: dict[str, Any]) -> Letter:
        """The broker names no integration and no event; but no two bodies are alike."""
        customer, event = self._by_body[document["body"]]
        return Letter(customer.id, event.id, document["reason"])

    async def _replay(self, letters: list[Letter]) -> None:
        self._story.say(f"Replaying {len(letters)} dead letters")
        code, out, said = await self._scene.stack.command("dead-letters", "replay", "--json")
        replayed = json.loads(out)["replayed"] if code == 0 else 0
        if replayed != len(letters):
            self._story.wrong(f"dead-letters replay ended with {code}: {out} {said}")

    def _sum_up(self, letters: list[Letter], left: list[Letter]) -> None:
        ends = Ends.of(self._scene.stack.log_entries(), self._ids)
        counted = {
            "published": self._producer.confirmed.elements(),
            "delivered": ends.delivered.elements(),
            "dead letters": ((one.integration, one.event_id) for one in letters),
            "after the replay": ((one.integration, one.event_id) for one in left),
        }
        by_integration = {name: _by_integration(keys) for name, keys in counted.items()}
        for customer in CUSTOMERS:
            told = [f"{counts[customer.id]} {name}" for name, counts in by_integration.items()]
            skipped = ends.reasons[customer.id].most_common()
            told += [f"{count} {reason}" for reason, count in skipped]
            self._story.say(f"  {customer.id}: {', '.join(told)}")


def _by_integration(keys: Iterable[tuple[str, str]]) -> Counter[str]:
    return Counter(integration for integration, _ in keys)


def _reason(error: BaseException) -> str:
    """The first cause, where several tasks failed."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
