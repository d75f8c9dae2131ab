"""What a worker does while the stream of the receipts takes nothing: it goes on, and says so."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator

import aio_pika
import pytest

from devtools.broker import RunningBroker
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.receipts import bodies_in, metric, receipts_in
from worker.evidence.heading import read_message

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, RECEIPTS="on") as running:
        running.add_integration("shop")
        yield running


async def _publish(stack: Stack, first: int, count: int) -> None:
    numbers = range(first, first + count)
    bodies = [event("org-shop", f"u{one}@a.example", event_id=f"ev-{one}") for one in numbers]
    await stack.publish([json.dumps(one).encode() for one in bodies])


async def _is_away(stack: Stack) -> bool:
    return await metric(stack, "consent_receipts_away") == 1


async def _is_back(stack: Stack) -> bool:
    return await metric(stack, "consent_receipts_away") == 0


async def test_a_queue_of_that_name_that_is_no_stream_keeps_receipts_away_and_nothing_else(
    stack: Stack,
) -> None:
    name = f"{stack.namespace}.receipts"
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(name, durable=True)
        stack.start_worker()
        await stack.wait_until_consuming()
        await _publish(stack, 0, 50)
        await wait_until(lambda: len(stack.delivered("shop")) == 50, "deliveries")
        await wait_until(lambda: _is_away(stack), "receipts to be away")
        _, ready = await stack.get("/readyz")
        assert json.loads(ready)["ready"]
        assert any("receipts are away" in one and name in one for one in json.loads(ready)["notes"])
        await stack.wait_for_depth("events", 0)
        code, _, err = await stack.command("receipts", "verify")
        assert code == 3
        assert f"queue {name} is no stream" in err
        code, _, err = await stack.command("topology", "declare")
        assert code == 0
        assert "no receipts will be written" in err
        assert (await channel.declare_queue(name, passive=True)).name == name
        await queue.delete(if_empty=False)
    worker = stack.workers[0]
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 30) == 0
    entries = {one["event"]: one for one in stack.log_entries()}
    assert entries["receipts.not_ended"]["unreceipted"] == 50


async def test_a_stream_that_is_deleted_under_a_worker_is_there_again(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    await _publish(stack, 0, 20)
    await wait_until(lambda: len(stack.delivered("shop")) == 20, "deliveries")
    await wait_until(lambda: _there(stack, 20), "receipts")
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(f"{stack.namespace}.receipts")
    await _publish(stack, 20, 20)
    await wait_until(lambda: _there(stack, 40), "receipts in the new stream")
    found = {one.event for one in await receipts_in(stack)}
    assert found == {f"ev-{number}" for number in range(20, 40)}
    code, out, _ = await stack.command("receipts", "verify", "--json")
    assert (code, {one["code"] for one in json.loads(out)["findings"]}) == (1, {"headless"})


async def _there(stack: Stack, count: int) -> bool:
    return await metric(stack, "consent_receipts_total") >= count


async def test_in_an_alarm_delivery_goes_on_after_the_bound_and_receipts_come_later(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with Stack(own_broker.url, namespace, RECEIPTS="on") as stack:
        stack.add_integration("shop")
        await stack.command("topology", "declare")
        await _publish(stack, 0, 300)
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.0000001")
        stack.start_worker()
        await stack.wait_until_consuming()
        await wait_until(lambda: len(stack.delivered("shop")) == 300, "deliveries", 60)
        await wait_until(lambda: _is_away(stack), "receipts to be away")
        await wait_until(lambda: _nothing_in_hand(stack), "acknowledgements without receipts")
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.9")
        await wait_until(lambda: _is_back(stack), "receipts to be back", 60)
        await wait_until(lambda: _there(stack, 300), "all receipts")
        found = [one.event for one in await receipts_in(stack)]
        assert sorted(found) == sorted(f"ev-{number}" for number in range(300))
        code, out, err = await stack.command("receipts", "verify")
        assert code == 0, out + err
        events = [one["event"] for one in stack.log_entries()]
        assert events.index("receipts.away") < events.index("receipts.back")


async def _nothing_in_hand(stack: Stack) -> bool:
    return await metric(stack, "consent_messages_in_flight") == 0


async def test_a_broker_that_restarts_gets_the_rest_of_the_chain(
    own_broker: RunningBroker, namespace: str
) -> None:
    async with Stack(own_broker.url, namespace, RECEIPTS="on") as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        await _publish(stack, 0, 100)
        await wait_until(lambda: _there(stack, 100), "receipts")
        await asyncio.to_thread(own_broker.restart)
        await wait_until(lambda: _is_back(stack), "receipts to be back", 60)
        await wait_until(stack.is_ready, "a session", 60)
        await _publish(stack, 100, 100)
        await wait_until(lambda: _there(stack, 200), "all receipts", 60)
        found = {one.event for one in await receipts_in(stack)}
        assert found == {f"ev-{number}" for number in range(200)}
        assert (await stack.command("receipts", "verify"))[0] == 0
        headings = [read_message(body).heading for body in await bodies_in(stack)]
        assert len({one.chain for one in headings}) == 1
