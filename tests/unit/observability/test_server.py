"""Health, readiness and metrics over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from worker.listening_ports import PortUnusable
from worker.observability.http_server import ObservabilityServer
from worker.observability.metrics import Metrics


class Bench:
    """A server, what it is told, and a client."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.server = ObservabilityServer(
            self.metrics, lambda: self.problems, lambda: self.notes, self.refresh
        )
        self.port = 0

    def refresh(self) -> None:
        self.metrics.gauges.in_flight.set(7)

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.request("GET", url, headers=headers) as reply:
            return reply.status, reply.headers["Content-Type"], await reply.text()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.port = await bench.server.start("127.0.0.1", 0)
    yield bench
    await bench.server.stop()


async def test_it_is_healthy_while_it_answers(bench: Bench) -> None:
    bench.problems = ["broker: away"]
    assert (await bench.get("/healthz"))[0] == 200


async def test_it_is_ready_when_nothing_is_wrong_and_else_says_what_is(bench: Bench) -> None:
    status, _, text = await bench.get("/readyz")
    assert (status, text) == (200, '{"ready": true, "problems": [], "notes": []}')
    bench.problems = ["broker: away"]
    status, _, text = await bench.get("/readyz")
    assert (status, text) == (
        503,
        '{"ready": false, "problems": ["broker: away"], "notes": []}',
    )


async def test_a_paused_integration_is_told_and_leaves_the_worker_ready(bench: Bench) -> None:
    bench.notes = ["integration shop is paused"]
    status, _, text = await bench.get("/readyz")
    assert (status, text) == (
        200,
        '{"ready": true, "problems": [], "notes": ["integration shop is paused"]}',
    )


async def test_metrics_are_brought_up_to_date_when_they_are_scraped(bench: Bench) -> None:
    status, content_type, text = await bench.get("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=0.0.4")
    assert "consent_messages_in_flight 7.0" in text


async def test_a_port_that_is_taken_is_an_error_at_the_start(bench: Bench) -> None:
    other = Bench()
    with pytest.raises(PortUnusable, match="another process listens there"):
        await other.server.start("127.0.0.1", bench.port)
    await other.server.stop()


async def test_a_server_that_never_started_can_be_stopped() -> None:
    await Bench().server.stop()
