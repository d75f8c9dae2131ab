"""A worker whose broker takes nothing: by an alarm, or since the publishing connection stalls."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from pathlib import Path

import pytest
from yarl import URL

from devtools.broker import RunningBroker
from devtools.proxy import TcpProxy
from devtools.stack import Stack, event
from devtools.waiting import wait_until

EVENTS = 200
PADDING = "x" * 20_000
MIB = 1 << 20

pytestmark = pytest.mark.timeout(240)


def _bodies(organization: str, prefix: str, count: int) -> list[bytes]:
    users = [f"{prefix}{n}@a.example" for n in range(count)]
    return [json.dumps(event(organization, one, padding=PADDING)).encode() for one in users]


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def _alarm(broker: RunningBroker, is_on: bool) -> None:
    level = "0.0000001" if is_on else "0.9"
    await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", level)


async def _is_blocked(stack: Stack) -> bool:
    return "takes no messages: low on memory" in (await stack.get("/readyz"))[1]


async def test_an_alarm_loses_nothing_copies_nothing_and_leaves_others_alone(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with Stack(own_broker.url, namespace, PUBLISH_TIMEOUT_SECONDS=0.5) as stack:
        stack.add_integration("shop")
        stack.add_integration("other")
        stack.sandbox.state.inject(target="collection", key="shop", kind="status", status=503)
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish(_bodies("org-shop", "u", EVENTS) + _bodies("org-other", "v", 20))
        await wait_until(lambda: len(stack.delivered("other")) == 20, "the healthy ones")
        await _alarm(own_broker, True)
        await wait_until(lambda: _is_blocked(stack), "the alarm to be told of", 60)
        await asyncio.sleep(3)
        before = _resident_bytes(worker.pid)
        await asyncio.sleep(6)  # a dozen times longer than a confirm is waited for otherwise
        assert _resident_bytes(worker.pid) - before < 8 * MIB
        await _alarm(own_broker, False)
        stack.sandbox.state.clear_faults()
        everybody = {f"u{n}@a.example" for n in range(EVENTS)}
        await wait_until(lambda: stack.delivered("shop") >= everybody, "all in the end", 90)
        await wait_until(stack.is_ready, "readiness")
        told = [one["event"] for one in stack.log_entries()]
        assert "publish.blocked" in told
        assert "publish.unblocked" in told
        assert "publish.reopening" not in told
        assert "broker.session_lost" not in told
        assert await stack.depth("dead-letters") == 0
        # A second copy of a retry would be skipped as a duplicate.
        metrics = (await stack.get("/metrics"))[1]
        assert not re.search(r'outcome="skipped",reason="[a-z-]+"\} [1-9]', metrics)


async def test_a_worker_starts_and_works_during_an_alarm_and_stops_in_time(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with Stack(own_broker.url, namespace, SHUTDOWN_TIMEOUT_SECONDS=2) as stack:
        stack.add_integration("shop")
        stack.add_integration("other")
        stack.sandbox.state.inject(target="collection", key="shop", kind="status", status=503)
        first = stack.start_worker()
        await stack.wait_until_consuming()
        first.send_signal(signal.SIGTERM)
        await asyncio.to_thread(first.wait, 20)
        await stack.publish(_bodies("org-shop", "u", 30) + _bodies("org-other", "v", 30))
        await _alarm(own_broker, True)
        second = stack.start_worker()
        await wait_until(lambda: len(stack.delivered("other")) == 30, "the healthy ones", 60)
        await wait_until(lambda: _is_blocked(stack), "the alarm to be told of", 60)
        second.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert await asyncio.to_thread(second.wait, 30) == 0
        assert time.monotonic() - began < 2 + 8, "its deadline and the closing of three lines"
        await _alarm(own_broker, False)
        stack.sandbox.state.clear_faults()
        stack.start_worker()
        await wait_until(lambda: len(stack.delivered("shop")) == 30, "what was in hand", 60)


async def test_a_publishing_line_that_stalls_is_opened_anew_and_nothing_is_returned(
    broker_url: str, namespace: str
) -> None:
    address = URL(broker_url)
    async with TcpProxy(address.host or "", address.port or 0) as proxy:
        through = str(address.with_host("127.0.0.1").with_port(proxy.port))
        async with Stack(
            through, namespace, PUBLISH_TIMEOUT_SECONDS=1, HEARTBEAT_SECONDS=60
        ) as stack:
            stack.add_integration("shop")
            stack.add_integration("other")
            stack.sandbox.state.inject(target="collection", key="shop", kind="status", status=503)
            stack.start_worker()
            await stack.wait_until_consuming()
            assert proxy.stall_those_who_said(b"consent-worker publishing") == 1
            await stack.publish(_bodies("org-shop", "u", 30) + _bodies("org-other", "v", 30))
            await wait_until(lambda: len(stack.delivered("other")) == 30, "the healthy ones")
            await wait_until(lambda: "publish.reopened" in stack.log_text(), "another line", 30)
            stack.sandbox.state.clear_faults()
            await wait_until(lambda: len(stack.delivered("shop")) == 30, "the others", 60)
            assert "broker.session_lost" not in stack.log_text()
            assert "message.set_apart" not in stack.log_text()
            assert await stack.depth("dead-letters") == 0
