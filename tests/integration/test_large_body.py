"""A body of 100 MB is dropped while it comes: memory, the line and all others stay well."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import pytest

from devtools.broker import RunningBroker
from devtools.proxy import TcpProxy, through
from devtools.stack import Stack, event
from devtools.waiting import wait_until

MB = 1_000_000
BODY_BYTES = 100 * MB
MOST_GROWTH_BYTES = 40 * MB
LINE_BYTES_A_SECOND = 15 * MB
"""The body then takes seven seconds, of which a dead line shows within two."""
_TAKE_SO_MUCH = """
    application:set_env(rabbit, max_message_size, 134217728),
    persistent_term:put(max_message_size, 134217728).
"""
"""The default of RabbitMQ 3; that of 4 is 16 MiB."""


def _memory_bytes(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _forget_peak(pid: int) -> None:
    """See proc(5): from now on VmHWM is the peak since."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def _publish(broker: RunningBroker, stack: Stack, body: bytes) -> None:
    async with await aio_pika.connect(broker.url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        message = aio_pika.Message(body, delivery_mode=2, message_id="large")
        await channel.default_exchange.publish(message, f"{stack.namespace}.events")


def _event(integration: str, user: str) -> bytes:
    return json.dumps(event(f"org-{integration}", user)).encode()


@pytest.mark.timeout(240)
async def test_100_mb_cost_neither_memory_nor_the_line_nor_anybody_s_event(
    own_broker: RunningBroker, namespace: str
) -> None:
    own_broker.ctl("eval", _TAKE_SO_MUCH)
    there = urlsplit(own_broker.url)
    async with (
        TcpProxy(there.hostname or "", there.port or 0) as line,
        Stack(through(own_broker.url, line.port), namespace, HEARTBEAT_SECONDS=1) as stack,
    ):
        for name in ("shop", "other"):
            stack.add_integration(name)
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_event("shop", "first@a.example")])
        await wait_until(lambda: stack.delivered("shop") == {"first@a.example"}, "a first event")
        hang = stack.sandbox.state.inject(target="collection", key="other", kind="hang")
        await stack.publish([_event("other", "before@a.example")])
        await wait_until(lambda: stack.messages("other"), "an event in hand")

        _forget_peak(worker.pid)
        before = _memory_bytes(worker.pid, "VmRSS")
        passed = line.answered_bytes
        line.slow_answers(LINE_BYTES_A_SECOND)
        publishing = asyncio.create_task(_publish(own_broker, stack, b"x" * BODY_BYTES))
        await wait_until(lambda: line.answered_bytes > passed + 10 * MB, "a part of the body", 60)
        stack.sandbox.state.faults.clear(hang.id)
        await wait_until(lambda: bool(stack.delivered("other")), "what was in hand")
        assert line.answered_bytes < passed + BODY_BYTES, "the body was still coming"
        await publishing
        users = {f"u{number}@a.example" for number in range(20)}
        await stack.publish([_event("other", one) for one in users])
        await wait_until(lambda: users <= stack.delivered("other"), "those after it", 60)
        line.restore()
        await stack.wait_for_depth("dead-letters", 1, 60)
        await stack.wait_for_depth("events", 0)
        assert line.answered_bytes > passed + BODY_BYTES
        assert _memory_bytes(worker.pid, "VmHWM") - before < MOST_GROWTH_BYTES
        assert stack.log_text().count("broker.connected") == 1, "no session ended"
        assert worker.poll() is None
