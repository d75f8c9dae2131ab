"""A paused customer has a great many parked events: what do the nine others notice?"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict

import aio_pika
from pamqp.commands import Basic

from bench.arena import Arena
from bench.contestants import Ours
from bench.events import event_body, organization
from bench.pace import wait_for
from bench.publisher import Job
from bench.ratios import median_ratio
from bench.scale import Scale
from worker.broker.headers import BUNDLE, INTEGRATION, PARKS
from worker.delivery.bundles.bundle_format import MOST_EVENTS, pack
from worker.wire.frames import encode_content_header

_INTEGRATIONS = 10
_AT_ONCE = 50
_REPETITIONS = 3


def parked(arena: Arena, scale: Scale, capacity: float) -> dict[str, float]:
    """Throughput of the others while working off a queue, with and without."""
    runs: dict[str, list[float]] = defaultdict(list)
    for _ in range(_REPETITIONS):
        for name, events in (("without", 0), ("with", scale.backlog)):
            runs[name].append(_throughput(arena, events, scale, capacity))
    return {
        "parked_events": scale.backlog,
        "without_per_second": statistics.median(runs["without"]),
        "with_per_second": statistics.median(runs["with"]),
        "throughput_kept": median_ratio(runs["with"], runs["without"]),
    }


def _throughput(arena: Arena, events: int, scale: Scale, capacity: float) -> float:
    """Events a second of those that are not paused, from the first to the last."""
    worker = Ours("ours-parked", integrations=_INTEGRATIONS, paused=1)
    worker.prepare(arena)
    arena.reset()
    if events:
        asyncio.run(_park(arena, worker, events // MOST_EVENTS))
    others = _INTEGRATIONS - 1
    count = round(capacity * min(scale.isolation_seconds, 10.0) / others) * others
    job = Job("", "", count, organizations=others, first_organization=1)
    arena.start_publishing(worker.template(arena), job)()
    with worker.start(arena):
        wait_for(arena, 1)
        began = time.monotonic()
        wait_for(arena, count)
        return count / (time.monotonic() - began)


async def _park(arena: Arena, worker: Ours, bundles: int) -> None:
    """Bundles as a worker parks them, all back at once, of the customer that is paused."""
    body = event_body()
    content_header = encode_content_header(
        Basic.Properties(headers={INTEGRATION: organization(0), PARKS: 6}), len(body)
    )
    packed = pack([(content_header, body)] * MOST_EVENTS)
    async with await aio_pika.connect(arena.broker_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        for first in range(0, bundles, _AT_ONCE):
            await asyncio.gather(
                *(
                    channel.default_exchange.publish(
                        aio_pika.Message(
                            packed,
                            headers={
                                INTEGRATION: organization(0),
                                PARKS: 6,
                                BUNDLE: MOST_EVENTS,
                            },
                            delivery_mode=2,
                        ),
                        worker.parked,
                    )
                    for _ in range(first, min(first + _AT_ONCE, bundles))
                )
            )
