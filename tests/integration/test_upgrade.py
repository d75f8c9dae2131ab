"""0.2.0 and this version side by side on one broker and one Redis, in both directions: what the one
has in flight the other ends, and the newest choice wins.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import aio_pika
import pytest

from devtools.old_version import ROOT, V0_2_0, NoSuchVersion, unpack_version
from devtools.stack import Stack, event
from devtools.waiting import wait_until

USERS: Final = 30
NOW: Final = datetime.now(UTC)
INTEGRATIONS: Final = ("shop", "failing", "paused", "rejecting")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where 0.2.0 is."""
    directory = tmp_path_factory.mktemp("v0.2.0")
    try:
        unpack_version(V0_2_0, directory)
    except NoSuchVersion as problem:
        if os.environ.get("CI"):
            pytest.fail(f"0.2.0 can't be run beside this version: {problem}")
        pytest.skip(f"0.2.0 IS NOT TESTED beside this version: {problem}")
    return directory


@pytest.fixture
async def stack(broker_url: str, redis_url: str, namespace: str) -> AsyncIterator[Stack]:
    settings = {"STATE_URL": redis_url, "RETRY_BUDGET_SECONDS": 60, "LOG_LEVEL": "debug"}
    async with Stack(broker_url, namespace, **settings) as running:
        for name in INTEGRATIONS:
            running.add_integration(name, paused=name == "paused")
        yield running


def _choice(integration: str, number: int, *, at: int, enabled: bool) -> bytes:
    """Of a person, `at` so many seconds: a later one is newer."""
    document = event(
        f"org-{integration}",
        f"{integration}-{number}@a.example",
        enabled=enabled,
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{integration} {number} {at}")),
        created_at=(NOW - timedelta(hours=1) + timedelta(seconds=at)).isoformat(),
    )
    return json.dumps(document).encode()


def _choices(first: int, count: int, *, at: int, enabled: bool) -> list[bytes]:
    return [
        _choice(integration, number, at=at, enabled=enabled)
        for integration in INTEGRATIONS
        for number in range(first, first + count)
    ]


async def _waiting(stack: Stack) -> int:
    """Messages in all queues of the namespace but the dead letters."""
    queues = ("events", "retries", "parked", "suspects")
    levels = [f"delay.{2**n}s" for n in range(9)] + [f"delay.{n}ms" for n in (125, 250, 500)]
    return sum([await stack.depth(one) for one in (*queues, *levels)])


async def _headers_of_letters(stack: Stack) -> list[dict[str, Any]]:
    connection = await aio_pika.connect(stack.amqp_url)
    async with connection:
        queue = await (await connection.channel()).get_queue(f"{stack.namespace}.dead-letters")
        found = []
        while (message := await queue.get(fail=False)) is not None:
            found.append(dict(message.headers))
        return found  # what was not acknowledged goes back with the connection


def _events_of(stack: Stack, event_name: str, integration: str) -> set[str]:
    return {
        str(one["event_id"])
        for one in stack.log_entries()
        if one["event"] == event_name and one.get("integration") == integration
    }


def _has_in_flight(stack: Stack, events: int) -> bool:
    """Whether so many are parked and dead, those of the shop are delivered, and of a failing
    endpoint, which gets single probes of what is fresh, some are in the delay.
    """
    return (
        len(stack.delivered("shop")) >= min(events, 2 * USERS)
        and len(_events_of(stack, "delivery.retried", "failing")) > 1
        and len(_events_of(stack, "delivery.parked", "paused")) == events
        and len(_events_of(stack, "delivery.dead", "rejecting")) == events
    )


async def _stop(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 40) == 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("order", ["old then new", "new then old"])
async def test_each_version_ends_what_the_other_has_in_flight(
    stack: Stack, old: Path, order: str
) -> None:
    sides = [old, ROOT] if order == "old then new" else [ROOT, old]
    faults = stack.sandbox.state.faults
    unavailable = faults.inject(target="collection", kind="status", status=503, key="failing")
    refused = faults.inject(target="collection", kind="status", status=400, key="rejecting")
    first = stack.start_worker(directory=sides[0])
    await stack.wait_until_consuming()
    await stack.publish(_choices(0, USERS, at=10, enabled=True))
    await wait_until(partial(_has_in_flight, stack, USERS), "all kinds of the first one", 60)
    # Both run, and share the queues: newer choices of the same persons, and others'.
    second = stack.start_worker(directory=sides[1])
    await wait_until(lambda: stack.log_text().count("broker.connected") == 2, "both workers", 30)
    await stack.publish(
        _choices(0, USERS // 2, at=20, enabled=False) + _choices(USERS, USERS, at=10, enabled=True)
    )
    await wait_until(partial(_has_in_flight, stack, 2 * USERS + USERS // 2), "all of both", 60)
    # Older ones come late, to whichever has them.
    await stack.publish(
        [_choice("shop", number, at=5, enabled=True) for number in range(USERS // 2)]
    )
    await _stop(first)
    contracts = {one.get("consent-contract") for one in await _headers_of_letters(stack)}
    assert contracts == {None, 2}, "letters of both versions"
    # What the first one has left the second one ends, once all is well again.
    faults.clear(unavailable.id)
    faults.clear(refused.id)
    stack.add_integration("paused")
    code, out, err = await stack.command("dead-letters", "replay", "--json", directory=sides[1])
    assert code == 0, err
    assert json.loads(out)["kept"] == 0
    for name in INTEGRATIONS:
        await wait_until(
            partial(lambda name: len(stack.delivered(name)) == 2 * USERS, name),
            f"all of {name}",
            90,
        )
    await _all_has_ended(stack)
    await _stop(second)
    for name in INTEGRATIONS:
        for number in range(2 * USERS):
            key = (f"dataset-{name}", f"{name}-{number}@a.example")
            record = stack.sandbox.state.profiles[key].record
            assert record["_acme"]["newsletter"] == (number >= USERS // 2), key
    assert await stack.depth("dead-letters") == 0
    assert _reasons(stack, "delivery.dead") == {"adobe-rejected"}


async def _all_has_ended(stack: Stack) -> None:
    async def is_so() -> bool:
        return await _waiting(stack) == 0

    await wait_until(is_so, "empty queues", 90)


def _reasons(stack: Stack, event_name: str) -> set[str]:
    return {one["reason"] for one in stack.log_entries() if one["event"] == event_name}
