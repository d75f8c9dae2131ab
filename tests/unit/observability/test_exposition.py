"""What a scraper gets: all series once, in the format that it asks for, and a part at a time."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from worker.observability.exposition import SLICE_SAMPLES, exposition
from worker.observability.http_server import ObservabilityServer
from worker.observability.metrics import Metrics

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
CUSTOMERS = [f"shop-{number}" for number in range(1500)]
OUTCOMES = "consent_integration_outcomes"


@pytest.fixture
def metrics() -> Metrics:
    """Of more integrations than fit one slice."""
    metrics = Metrics()
    metrics.know(CUSTOMERS)
    metrics.count("shop-7", "dead", "poison", 0.1)
    metrics.gauges.lane_held.ask = lambda: ((one, 3) for one in CUSTOMERS)
    return metrics


@pytest.fixture
async def url(metrics: Metrics) -> AsyncIterator[str]:
    server = ObservabilityServer(metrics, list, list, lambda: None)
    port = await server.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}/metrics"
    await server.stop()


def _parts(metrics: Metrics, accept: str = "", encoding: str = "") -> list[bytes]:
    return list(exposition(metrics.registry, accept, encoding).parts)


@pytest.mark.parametrize(
    ("accept", "read"),
    [("", read_text), ("text/plain", read_text), (OPENMETRICS, read_openmetrics)],
)
def test_it_can_be_read_and_has_each_series_once(metrics: Metrics, accept: str, read: type) -> None:
    text = b"".join(_parts(metrics, accept)).decode()
    families = {one.name: one for one in read(text)}
    assert len(families[OUTCOMES].samples) == 5 * (len(CUSTOMERS) + 1)
    (dead,) = [one for one in families[OUTCOMES].samples if one.value]
    assert dead.labels == {"integration": "shop-7", "outcome": "dead"}
    held = families["consent_lane_held_events"].samples
    assert [one.labels["integration"] for one in held] == CUSTOMERS
    described = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(described) == len(set(described))
    assert text.count("# EOF") == text.endswith("# EOF\n") == (accept == OPENMETRICS)


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_no_part_has_more_series_than_a_slice(metrics: Metrics, accept: str) -> None:
    parts = _parts(metrics, accept)
    lines = [sum(not line.startswith("#") for line in part.decode().splitlines()) for part in parts]
    assert sum(lines) > 6 * len(CUSTOMERS)
    assert max(lines) == SLICE_SAMPLES


def test_compressed_it_is_the_same(metrics: Metrics) -> None:
    metrics.gauges.lane_held.ask = tuple
    plain, packed = _parts(metrics), _parts(metrics, encoding="deflate, gzip;q=0.8")
    assert len(b"".join(packed)) < len(b"".join(plain)) / 10
    unpacked = gzip.decompress(b"".join(packed)).decode().splitlines()
    # What the process tells of itself changes meanwhile.
    ours = [one for one in b"".join(plain).decode().splitlines() if one.startswith("consent")]
    assert [one for one in unpacked if one.startswith("consent")] == ours


async def test_everybody_else_has_a_turn_between_two_parts(metrics: Metrics, url: str) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    async with aiohttp.request("GET", url) as reply:
        text = await reply.text()
    task.cancel()
    assert turns > text.count("\n") // SLICE_SAMPLES


@pytest.mark.parametrize(
    ("headers", "content_type", "encoding"),
    [
        ({"Accept-Encoding": "identity"}, "text/plain; version=0.0.4; charset=utf-8", None),
        ({"Accept-Encoding": "gzip"}, "text/plain; version=0.0.4; charset=utf-8", "gzip"),
        ({"Accept": OPENMETRICS}, "application/openmetrics-text; version=1.0.0", "gzip"),
        (
            {"Accept": "application/openmetrics-text"},
            "application/openmetrics-text; version=1.0.0",
            "gzip",
        ),
        ({"Accept": "application/openmetrics-text;version=7"}, "text/plain; version=0.0.4", "gzip"),
        ({"Accept": "text/plain;version=x.y;escaping=dots,;=,;"}, "text/plain", "gzip"),
    ],
)
async def test_format_and_encoding_are_those_that_are_asked_for(
    url: str, headers: dict[str, str], content_type: str, encoding: str | None
) -> None:
    async with aiohttp.request("GET", url, headers=headers) as reply:
        assert reply.status == 200
        assert reply.headers["Content-Type"].startswith(content_type)
        assert reply.headers.get("Content-Encoding") == encoding
        assert f'{OUTCOMES}_total{{integration="shop-7",outcome="dead"}} 1.0' in await reply.text()


async def test_who_hangs_up_meanwhile_is_not_in_the_log(
    metrics: Metrics, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    is_over = asyncio.Event()

    def told() -> Iterator[tuple[str, float]]:
        try:
            while True:
                yield "shop", 1
        finally:
            is_over.set()

    metrics.gauges.lane_held.ask = told
    await _first_bytes(url)
    await is_over.wait()
    assert caplog.records == []


async def _first_bytes(url: str) -> None:
    async with aiohttp.request("GET", url) as reply:
        await reply.content.read(1)
        reply.close()


async def test_a_head_request_gets_no_body(url: str) -> None:
    async with aiohttp.request("HEAD", url) as reply:
        assert (reply.status, await reply.read()) == (200, b"")
