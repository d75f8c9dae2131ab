"""Connections to the HTTP port that say nothing take no files from deliveries, nor from probes."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Iterator
from functools import partial

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

MOST_FILES = 1_024
HALF_OPEN = 1_100
ROUNDS = 3


@pytest.fixture
def files_of_our_own() -> Iterator[None]:
    """Room for the connections at this end: what counts is the worker's limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _half_open(port: int) -> list[asyncio.StreamWriter]:
    """So many connections, none of which says anything."""
    lines = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", port) for _ in range(HALF_OPEN))
    )
    return [writer for _, writer in lines]


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("files_of_our_own")
async def test_half_open_connections_above_the_limit_of_files_disturb_nobody(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        limits = {"requests_in_flight": 16, "messages_per_request": 1}
        stack.add_integration("shop", limits=limits)
        # So that requests are under way together, and each needs a connection of its own.
        stack.sandbox.state.inject(target="collection", kind="latency", latency_ms=50)
        worker = stack.start_worker(most_files=MOST_FILES)
        await stack.wait_until_consuming()
        allowed = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
        assert allowed == (MOST_FILES, MOST_FILES)
        started = [one for one in stack.log_entries() if one["event"] == "worker.started"]
        for number in range(ROUNDS):
            held = await _half_open(started[0]["http_port"])
            assert (await stack.get("/healthz"))[0] == 200
            more = {f"u{number}-{one}@a.example" for one in range(40)}
            await stack.publish([json.dumps(event("org-shop", one)).encode() for one in more])
            await wait_until(
                partial(lambda due: due <= stack.delivered("shop"), more), "every event"
            )
            assert (await stack.get("/healthz"))[0] == 200
            for one in held:
                one.transport.abort()
        told = {one["event"] for one in stack.log_entries()}
        assert "request.accepted" in told
        assert "delivery.retried" not in told, "no request found no file"
        assert "broker.session_lost" not in told
        assert worker.poll() is None
