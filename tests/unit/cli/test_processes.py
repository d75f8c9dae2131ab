"""`run` and `sandbox` as processes: what they say of themselves, and how they end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.unit.cli.conftest import NOBODY


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """A stack whose broker is not there."""
    async with Stack(NOBODY, "unit") as running:
        running.add_integration("shop")
        yield running


def _lines(stack: Stack, event: str) -> list[dict[str, Any]]:
    """The log lines of an event, as far as they are complete."""
    complete = [one for one in stack.log_text().splitlines() if one.endswith("}")]
    return [line for one in complete if (line := json.loads(one))["event"] == event]


async def _started(stack: Stack) -> str:
    """Wait for the worker of the stack; its URL."""
    await wait_until(lambda: _lines(stack, "worker.started"), "the worker")
    (line,) = _lines(stack, "worker.started")
    assert line["integrations"] == 1
    return f"http://127.0.0.1:{line['http_port']}"


async def test_without_its_broker_a_worker_lives_is_not_ready_and_stops_when_told(
    stack: Stack,
) -> None:
    worker = stack.start_worker()
    url = await _started(stack)
    async with aiohttp.ClientSession(url) as session:

        async def has_tried_again() -> bool:
            async with session.get("/metrics") as reply:
                return "consent_broker_reconnects 1.0" in await reply.text()

        await wait_until(has_tried_again, "a second try")
        async with session.get("/healthz") as reply:
            assert reply.status == 200
        async with session.get("/readyz") as reply:
            assert reply.status == 503
            (problem,) = (await reply.json())["problems"]
    assert problem == "broker: no session with the broker: AMQPConnectionError"
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 10) == 0
    assert _lines(stack, "worker.stopping")
    assert _lines(stack, "worker.stopped")
    assert "hush" not in stack.log_text()


async def test_changed_files_are_told_in_the_log(stack: Stack) -> None:
    stack.start_worker()
    await _started(stack)

    def was_told(event: str, field: str, text: str) -> bool:
        return any(text in str(line[field]) for line in _lines(stack, event))

    stack.add_integration("press")
    await wait_until(lambda: was_told("integrations.reloaded", "loaded", "press"), "the addition")
    (stack.integrations / "bad.json").write_text("{")
    await wait_until(
        lambda: was_told("integrations.invalid", "detail", "bad.json: is not JSON"), "the mistake"
    )
    (stack.integrations / "press.json").unlink()
    await wait_until(lambda: was_told("integrations.reloaded", "removed", "press"), "the removal")


async def test_the_limits_of_the_plugin_are_told_at_the_start(stack: Stack) -> None:
    stack.override("DELAY", "plugin")
    stack.start_worker()
    await _started(stack)
    assert _lines(stack, "delay.plugin")


async def test_a_port_that_is_taken_ends_a_worker(stack: Stack) -> None:
    stack.override("HTTP_PORT", stack.sandbox.url.rpartition(":")[2])
    code, _, err = await stack.command("run")
    assert code == 1
    assert "in use" in err
    assert "Traceback" not in err


@asynccontextmanager
async def _emulator(*options: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", "sandbox", *options, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_emulator_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    async with _emulator("--port", "0") as process:
        assert process.stdout is not None
        said = (await process.stdout.readline()).decode()
        url = said.removeprefix("emulator of Adobe on ").strip()
        async with aiohttp.request("GET", f"{url}/healthz") as reply:
            assert await reply.json() == {"status": "ok"}
        process.send_signal(number)
        assert await process.wait() == 0


async def test_an_emulator_on_a_taken_port_says_so(stack: Stack) -> None:
    async with _emulator("--port", stack.sandbox.url.rpartition(":")[2]) as process:
        _, err = await process.communicate()
        assert process.returncode == 1
    assert b"in use" in err
    assert b"Traceback" not in err
