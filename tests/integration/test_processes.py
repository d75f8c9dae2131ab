"""`run` and `sandbox` as processes: what they say of themselves, and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
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
                return "consent_broker_reconnects_total 1.0" in await reply.text()

        await wait_until(has_tried_again, "a second try")
        async with session.get("/healthz") as reply:
            assert reply.status == 200
        async with session.get("/readyz") as reply:
            assert reply.status == 503
            (problem,) = (await reply.json())["problems"]
    assert problem == "broker: no session with the broker: nothing listens at this host and port"
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
    (stack.integrations / "bad.json").unlink()
    await wait_until(
        lambda: was_told("integrations.mended", "detail", "bad.json: is not JSON"), "its end"
    )
    stack.add_integration("press", paused=True)
    await wait_until(lambda: was_told("integration.switched", "state", "paused"), "the pause")
    press = stack.integrations / "press.json"
    content = press.read_text()
    press.unlink()
    await wait_until(lambda: was_told("integration.vanished", "integration", "press"), "the loss")
    press.write_text(content)
    await wait_until(lambda: was_told("integration.returned", "integration", "press"), "the return")


async def test_a_vanished_file_is_gone_for_good_after_its_grace(stack: Stack) -> None:
    stack.override("INTEGRATION_GRACE_SECONDS", "0.5")
    stack.start_worker()
    await _started(stack)
    (stack.integrations / "shop.json").unlink()
    await wait_until(lambda: _lines(stack, "integration.vanished"), "the loss")
    await wait_until(
        lambda: any(one["removed"] == ["shop"] for one in _lines(stack, "integrations.reloaded")),
        "the removal",
    )


async def test_a_worker_starts_with_the_good_ones_and_names_the_bad_ones(stack: Stack) -> None:
    (stack.integrations / "half.json").write_text("{")
    stack.add_integration("twin", id="press")
    stack.add_integration("press")
    stack.add_integration("keys", authentication={"client_id": "${NOT_THERE}"})
    stack.start_worker()
    url = await _started(stack)
    told = " ".join(one["detail"] for one in _lines(stack, "integrations.invalid"))
    async with aiohttp.ClientSession(url) as session:
        async with session.get("/readyz") as reply:
            notes = " ".join((await reply.json())["notes"])
        async with session.get("/metrics") as reply:
            metrics = await reply.text()
    for said in (told, notes):
        assert "half.json: is not JSON" in said
        assert "press.json: id: 'press' is taken by twin.json" in said
        assert "twin.json: id: 'press' is taken by press.json" in said
        assert "keys.json: authentication.client_id: the environment variable NOT_THERE" in said
    assert 'consent_integrations{state="enabled"} 1.0' in metrics
    assert 'consent_integrations{state="invalid"} 4.0' in metrics


async def test_without_any_valid_integration_a_worker_lives_and_waits_for_one(stack: Stack) -> None:
    (stack.integrations / "shop.json").write_text("{")
    worker = stack.start_worker()
    await wait_until(lambda: _lines(stack, "worker.started"), "the worker")
    stack.add_integration("shop")
    await wait_until(lambda: _lines(stack, "integrations.reloaded"), "the good one")
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 10) == 0


async def test_a_directory_that_is_none_ends_a_worker(stack: Stack) -> None:
    stack.override("INTEGRATIONS", stack.path / "nowhere")
    code, _, err = await stack.command("run")
    assert code == 2
    assert "nowhere: is not a directory" in err


async def test_pipes_and_devices_among_files_and_secrets_stop_neither_start_nor_reload_nor_end(
    stack: Stack,
) -> None:
    os.mkfifo(stack.integrations / "fifo.json")
    os.mkfifo(stack.integrations / "key")
    (stack.integrations / ".#shop.json").symlink_to("somebody@host.1234")
    keys = {"client_id": "c", "client_secret": "file:key", "api_key": "file:/dev/zero"}
    stack.add_integration("keys", authentication=keys)
    worker = stack.start_worker()
    await _started(stack)
    stack.add_integration("more", authentication=keys)
    await wait_until(
        lambda: any("more.json" in one["detail"] for one in _lines(stack, "integrations.invalid")),
        "the next reading",
    )
    details = " ".join(one["detail"] for one in _lines(stack, "integrations.invalid"))
    assert "key is no regular file" in details
    assert "/dev/zero is outside of the directories for secrets" in details
    assert "#shop" not in details
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 10) == 0


async def test_the_limits_of_the_plugin_are_told_at_the_start(stack: Stack) -> None:
    stack.override("DELAY", "plugin")
    stack.start_worker()
    await _started(stack)
    assert _lines(stack, "delay.plugin")


async def test_a_port_that_is_taken_ends_a_worker(stack: Stack) -> None:
    stack.override("HTTP_PORT", stack.sandbox.url.rpartition(":")[2])
    code, _, err = await stack.command("run")
    assert code == 1
    assert "another process listens there; set CONSENT_WORKER_HTTP_PORT" in err
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


async def test_an_emulator_is_set_up_by_a_file() -> None:
    path = Path(__file__).parents[2] / "examples" / "adobe" / "set-up.json"
    async with _emulator("--port", "0", "--set-up", str(path)) as process:
        assert process.stdout is not None
        said = (await process.stdout.readline()).decode()
        url = said.removeprefix("emulator of Adobe on ").strip()
        async with aiohttp.request("GET", f"{url}/admin/set-up") as reply:
            flows = [one["id"] for one in (await reply.json())["dataflows"]]
    assert flows == ["local-dataflow", "preferences-dataflow"]


@pytest.mark.parametrize("text", ["{", "[]", '{"flows": []}'])
async def test_a_file_that_sets_up_no_emulator_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "set-up.json"
    path.write_text(text)
    async with _emulator("--set-up", str(path)) as process:
        _, err = await process.communicate()
        assert process.returncode == 1
    assert err.decode().startswith(f"consent-worker: {path}: ")
    assert b"Traceback" not in err


async def test_an_emulator_on_a_taken_port_says_so(stack: Stack) -> None:
    async with _emulator("--port", stack.sandbox.url.rpartition(":")[2]) as process:
        _, err = await process.communicate()
        assert process.returncode == 1
    assert b"another process listens there" in err
    assert b"Traceback" not in err
