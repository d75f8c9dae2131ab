"""A message for which the broker ends the connection keeps back no other."""

from __future__ import annotations

import asyncio
import itertools
import json
from functools import partial
from typing import Any

import pytest
import structlog
from pamqp.commands import Basic

from devtools.broker import RunningBroker
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.test_confirms import Publishing, publishing_to
from worker.wire.confirms import Outgoing

BOUND_BYTES = 65_536


def _bound(broker: RunningBroker, most_bytes: int) -> None:
    broker.ctl(
        "eval",
        f"application:set_env(rabbit, max_message_size, {most_bytes}), "
        f"persistent_term:put(max_message_size, {most_bytes}).",
    )


def _events(name: str, count: int, padding_bytes: int = 0) -> list[bytes]:
    return [
        json.dumps(
            event(f"org-{name}", f"u{number}@a.example", event_id=f"{name}-{number}")
            | {"padding": "x" * padding_bytes}
        ).encode()
        for number in range(count)
    ]


def _said(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [one for one in stack.log_entries() if one["event"] == name]


@pytest.mark.timeout(240)
async def test_bundles_above_the_broker_s_bound_are_published_as_smaller_ones(
    own_broker: RunningBroker, namespace: str
) -> None:
    _bound(own_broker, BOUND_BYTES)
    async with Stack(own_broker.url, namespace) as stack:
        stack.add_integration("shop")
        stack.add_integration("waits", paused=True)
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        await stack.publish(_events("waits", 2000, 1000))
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish(_events("shop", 100))
        await wait_until(lambda: len(stack.delivered("shop")) == 100, "the healthy customer", 30)
        await stack.wait_for_depth("events", 0)
        told = _said(stack, "publish.too_large")
        assert [one["most_body_bytes"] for one in told] == [BOUND_BYTES]
        assert told[0]["body_bytes"] > BOUND_BYTES
        assert len(_said(stack, "publish.reopening")) <= 2, "the bound is known from then on"
        stack.add_integration("waits")
        await wait_until(lambda: len(stack.delivered("waits")) == 2000, "the parked events", 120)


@pytest.mark.timeout(240)
async def test_what_is_above_a_bound_that_was_lowered_is_taken_apart_or_becomes_a_dead_letter(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with Stack(own_broker.url, namespace) as stack:
        stack.add_integration("shop")
        stack.add_integration("waits", paused=True)
        stack.add_integration("large", paused=True)
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        await stack.publish(_events("waits", 300, 1000))
        (large,) = _events("large", 1, BOUND_BYTES)
        await stack.publish([large])
        former = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.wait_for_depth("events", 0)
        former.terminate()
        await wait_until(lambda: former.poll() is not None, "the end of the first worker")
        await stack.wait_for_depth("events", 0)
        _bound(own_broker, BOUND_BYTES)  # RabbitMQ 3.10 looks at it when a channel is opened
        stack.start_worker()
        await wait_until(lambda: _said(stack, "publish.too_large"), "a word about it", 60)
        await stack.publish(_events("shop", 100))
        await wait_until(lambda: len(stack.delivered("shop")) == 100, "the healthy customer", 30)
        await stack.wait_for_depth("dead-letters", 1, 60)
        code, out, err = await stack.command("dead-letters", "export", "-")
        assert code == 0, err
        assert [json.loads(line)["body"].encode() for line in out.splitlines()] == [large]
        stack.add_integration("waits")
        await wait_until(lambda: len(stack.delivered("waits")) == 300, "the parked events", 60)


def _send_to_nowhere(line: Publishing, number: int) -> None:
    """The broker ends the channel for it each time."""
    properties = Basic.Properties(message_id=f"m{number}", delivery_mode=2)
    then = partial(line.confirmed.append, number)
    line.publisher.publish(Outgoing("there.is.none", "x", properties, b"body", True, then))


async def test_messages_for_which_the_broker_ends_each_connection_are_found_and_set_aside(
    broker_url: str, namespace: str
) -> None:
    async with publishing_to(broker_url, namespace) as line:
        with structlog.testing.capture_logs() as logs:
            for number in range(200):
                if number in (50, 120):
                    _send_to_nowhere(line, number)
                else:
                    line.send(number)
            await wait_until(lambda: len(set(line.confirmed)) == 198, "all others", 30)
            await wait_until(lambda: "set aside" in line.publisher.trouble, "a word about it", 30)
        assert {50, 120}.isdisjoint(line.confirmed)
        told = next(one for one in logs if one["event"] == "publish.set_aside")
        assert told["exchange"] == "there.is.none"
        line.send(200)
        await wait_until(lambda: 200 in line.confirmed, "one that comes later", 10)
        exchange = await line.watching.declare_exchange("there.is.none", "fanout")
        queue = await line.watching.get_queue(line.queue)
        await queue.bind(exchange)
        await wait_until(lambda: len(set(line.confirmed)) == 201, "those that were set aside", 30)
        assert line.publisher.trouble == ""
        await exchange.delete()


async def test_connections_that_end_without_a_confirm_are_opened_after_growing_pauses(
    broker_url: str, namespace: str
) -> None:
    loop = asyncio.get_running_loop()
    async with publishing_to(broker_url, namespace) as line:
        at: list[float] = []

        def note(_: Any, method: str, said: structlog.typing.EventDict) -> Any:
            if said["event"] == "publish.reopened":
                at.append(loop.time())
            raise structlog.DropEvent

        structlog.configure(processors=[note])
        for number in range(64):
            _send_to_nowhere(line, number)
        await wait_until(lambda: len(at) >= 5, "the fifth connection", 30)
        pauses = [later - former for former, later in itertools.pairwise(at)]
        for number, pause in enumerate(pauses[:4]):
            assert pause >= 0.25 * 2**number
