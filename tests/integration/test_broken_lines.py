"""The lines to the broker, to Adobe and to the token endpoint are cut, stalled and restored."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest

from devtools.proxy import TcpProxy, through
from devtools.stack import Stack, event
from devtools.waiting import wait_until

LINES = 4
BREAKS_OF_EACH_LINE = 5
GOING_AGAIN_SECONDS = 10

Break = Callable[[TcpProxy], None]
breaks = pytest.mark.parametrize("break_line", [TcpProxy.cut, TcpProxy.stall])


async def _line_to(url: str, until: AsyncExitStack) -> TcpProxy:
    address = urlsplit(url)
    proxy = TcpProxy(address.hostname or "", address.port or 0)
    return await until.enter_async_context(proxy)


async def _on_all_lines(scenario: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Twenty breaks in all, side by side, since nearly all of their time is waiting."""
    async with asyncio.TaskGroup() as group:
        for number in range(LINES):
            group.create_task(scenario(number))


async def _delivered_in_time(stack: Stack, user: str) -> None:
    await wait_until(
        lambda: user in stack.delivered("shop"), f"event of {user}", GOING_AGAIN_SECONDS
    )


@breaks
@pytest.mark.timeout(300)
async def test_the_line_to_the_broker_breaks_twenty_times(
    broker_url: str, namespace: str, break_line: Break
) -> None:
    """Each stall lasts until the worker says that it has no session any more."""

    async def scenario(number: int) -> None:
        async with AsyncExitStack() as until:
            line = await _line_to(broker_url, until)
            through_line = through(broker_url, line.port)
            stack = Stack(broker_url, f"{namespace}{number}", AMQP_URL=through_line)
            await until.enter_async_context(stack)
            stack.add_integration("shop")
            stack.start_worker()
            await stack.wait_until_consuming()
            for i in range(BREAKS_OF_EACH_LINE):
                break_line(line)
                await wait_until(stack.is_unready, "a worker that says it is not ready", 90)
                await stack.publish([json.dumps(event("org-shop", f"u{i}@a.example")).encode()])
                line.restore()
                await _delivered_in_time(stack, f"u{i}@a.example")
                await wait_until(stack.is_ready, "a worker that says it is ready")
            assert await stack.depth("dead-letters") == 0

    await _on_all_lines(scenario)


async def test_a_line_that_ends_before_the_broker_speaks_does_not_end_the_worker(
    broker_url: str, namespace: str
) -> None:
    """So a load balancer behaves, or a container's published port, while the broker is away."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A thread, since only a line that is closed at once has ended before it is first read.
        threading.Thread(target=_hang_up, args=[listener], daemon=True).start()
        port = listener.getsockname()[1]
        through_line = through(broker_url, port)
        async with Stack(broker_url, namespace, AMQP_URL=through_line) as stack:
            stack.add_integration("shop")
            worker = stack.start_worker()
            await wait_until(
                lambda: stack.log_text().count("broker.unreachable") > 4 or worker.poll(),
                "attempts to connect",
                60,
            )
            assert await stack.is_unready()
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.wait, 10) == 0
        listener.shutdown(socket.SHUT_RDWR)  # ends the thread


def _hang_up(listener: socket.socket) -> None:
    with suppress(OSError):  # shut down by the test
        while True:
            listener.accept()[0].close()


@pytest.mark.parametrize("which", ["Adobe", "token endpoint"])
@breaks
async def test_a_line_to_adobe_breaks_twenty_times(
    broker_url: str, namespace: str, break_line: Break, which: str
) -> None:
    async def scenario(number: int) -> None:
        async with AsyncExitStack() as until:
            stack = Stack(
                broker_url,
                f"{namespace}{number}",
                RETRY_BUDGET_SECONDS=60,
                ATTEMPT_TIMEOUT_SECONDS=0.5,
            )
            await until.enter_async_context(stack)
            line = await _line_to(stack.sandbox.url, until)
            through_line = f"http://127.0.0.1:{line.port}"
            if which == "Adobe":
                endpoint = {"dataflow_endpoint": f"{through_line}/collection/shop"}
                stack.add_integration("shop", properties=endpoint)
            else:
                stack.add_integration("shop")
                stack.override("IMS_URL", f"{through_line}/ims/token/v3")
            stack.start_worker()
            await stack.wait_until_consuming()
            for i in range(BREAKS_OF_EACH_LINE):
                stack.sandbox.state.tokens.clear()  # the next delivery needs a fresh one
                break_line(line)
                failed = stack.log_text().count("delivery.retried")
                await stack.publish([json.dumps(event("org-shop", f"u{i}@a.example")).encode()])
                await wait_until(
                    partial(lambda old: stack.log_text().count("delivery.retried") > old, failed),
                    "a failed attempt",
                )
                line.restore()
                started = time.monotonic()
                await _delivered_in_time(stack, f"u{i}@a.example")
                assert time.monotonic() - started < GOING_AGAIN_SECONDS
            assert await stack.depth("dead-letters") == 0

    await _on_all_lines(scenario)


@pytest.mark.timeout(180)
async def test_a_check_whose_answers_come_slowly_ends_no_session(
    broker_url: str, namespace: str
) -> None:
    """It has some two dozen questions, and takes far longer than one of them may."""
    async with AsyncExitStack() as until:
        line = await _line_to(broker_url, until)
        through_line = through(broker_url, line.port)
        stack = await until.enter_async_context(Stack(through_line, namespace, WATCH_SECONDS=1))
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        line.slow_answers(150)
        letters = f"{namespace}.dead-letters"
        for count in (1, 2):  # what two checks, one after the other, have seen
            await _put(broker_url, letters)

            async def seen(count: int = count) -> bool:
                _, metrics = await stack.get("/metrics")
                return f'consent_queue_messages{{queue="{letters}"}} {count}.0' in metrics

            await wait_until(seen, f"a check that sees {count} letters", 60)
        line.restore()
        await stack.publish([json.dumps(event("org-shop", "ann@example.com")).encode()])
        await _delivered_in_time(stack, "ann@example.com")
        assert "broker.session_lost" not in stack.log_text()


async def _put(url: str, queue: str) -> None:
    """One more message in a queue."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(b"{}"), queue)
