"""What the broker itself gives up: it becomes a dead letter whose reason an operator can read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractQueue
from pamqp.commands import Basic
from pamqp.common import FieldTable
from pydantic import SecretStr

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.broker.dead_letter import describe
from worker.broker.delay import NativeDelay
from worker.broker.headers import BUNDLE, INTEGRATION
from worker.broker.queue_names import Names
from worker.broker.session_settings import address_of
from worker.broker.topology import build_topology, declare
from worker.delivery.bundles.bundle_format import pack
from worker.settings import WorkerSettings
from worker.wire.connecting import connect
from worker.wire.frames import encode_content_header

BODY = b"kills its workers"


@asynccontextmanager
async def _declared(url: str, namespace: str) -> AsyncIterator[tuple[Names, AbstractChannel]]:
    """With a delivery limit of one."""
    topology = build_topology(namespace, "native", 1)
    settings = WorkerSettings(amqp_url=SecretStr(url), namespace=namespace)
    async with await connect(address_of(settings), "test") as connection:
        await declare(connection, topology)
        yield topology.names, await connection.channel()


async def _return(queue: AbstractQueue) -> None:
    """Give back what is in `queue` until the broker has had enough of it."""
    while (message := await queue.get(fail=False)) is not None:
        await message.reject(requeue=True)


async def _reason_of_the_letter(channel: AbstractChannel, names: Names) -> str:
    queue = await channel.get_queue(names.dead_letters)
    letters: list[Any] = []

    async def has_come() -> bool:
        letters.append(await queue.get(fail=False, no_ack=True))
        return letters[-1] is not None

    await wait_until(has_come, "the dead letter")
    assert letters[-1].body == BODY
    return describe(letters[-1]).reason


async def test_a_fresh_event_that_is_returned_too_often_is_poison(
    broker_url: str, namespace: str
) -> None:
    async with _declared(broker_url, namespace) as (names, channel):
        await channel.default_exchange.publish(aio_pika.Message(BODY), names.events)
        await _return(await channel.get_queue(names.events))
        assert await _reason_of_the_letter(channel, names) == "poison"


async def test_what_has_been_delayed_before_is_poison_too(broker_url: str, namespace: str) -> None:
    async with _declared(broker_url, namespace) as (names, channel):
        to = NativeDelay(namespace).target(0.125)
        exchange = await channel.get_exchange(to.exchange)
        await exchange.publish(aio_pika.Message(BODY), to.routing_key)
        retries = await channel.get_queue(names.retries)

        async def is_dead() -> bool:
            await _return(retries)
            letters = await channel.declare_queue(names.dead_letters, passive=True)
            return bool(letters.declaration_result.message_count)

        await wait_until(is_dead, "its end")
        assert await _reason_of_the_letter(channel, names) == "poison"


async def test_an_event_that_its_producer_let_expire_is_not(
    broker_url: str, namespace: str
) -> None:
    async with _declared(broker_url, namespace) as (names, channel):
        message = aio_pika.Message(BODY, expiration=0.01)
        await channel.default_exchange.publish(message, names.events)
        assert await _reason_of_the_letter(channel, names) == "unroutable"


@asynccontextmanager
async def _with_a_bundle(
    broker_url: str, namespace: str, people: list[str]
) -> AsyncIterator[Stack]:
    """A bundle of one event of each of `people`, which the broker has given up."""
    own: FieldTable = {INTEGRATION: "shop"}
    packed = []
    for number, one in enumerate(people):
        body = json.dumps(event("org-shop", one)).encode()
        headers = own | {"of-the-producer": f"header-of-{one}"}
        properties = Basic.Properties(headers=headers, message_id=f"ev-{number}")
        packed.append((encode_content_header(properties, len(body)), body))
    async with Stack(broker_url, namespace, DELIVERY_LIMIT=5) as stack:
        stack.add_integration("shop")
        await stack.command("topology", "declare")
        async with await aio_pika.connect(broker_url) as connection:
            channel = await connection.channel()
            bundle = aio_pika.Message(pack(packed), headers=own | {BUNDLE: len(packed)})
            await channel.default_exchange.publish(bundle, f"{namespace}.retries")
            await _return(await channel.get_queue(f"{namespace}.retries"))
        await stack.wait_for_depth("dead-letters", 1)
        yield stack


async def _listed(stack: Stack) -> dict[str, dict[str, Any]]:
    code, out, err = await stack.command("dead-letters", "list", "--json")
    assert code == 0, err
    return {one["id"]: one for one in json.loads(out)}


async def test_a_bundle_that_the_broker_gave_up_is_told_and_replayed_by_event(
    broker_url: str, namespace: str
) -> None:
    people = ["lena@a.example", "omar@a.example"]
    async with _with_a_bundle(broker_url, namespace, people) as stack:
        letters = await _listed(stack)
        assert set(letters) == {"ev-0", "ev-1"}
        for letter in letters.values():
            assert (letter["reason"], letter["integration"]) == ("poison", "shop")
            assert letter["meaning"] == "It took its worker down time and again."
            assert letter["detail"] == "one of 2 events that were parked together"
        code, out, _ = await stack.command("dead-letters", "replay")
        assert (code, out) == (0, "replayed 2\n")
        stack.start_worker()
        await wait_until(lambda: stack.delivered("shop") == set(people), "both", 60)


async def test_of_a_bundle_only_the_chosen_event_is_shown_discarded_and_replayed(
    broker_url: str, namespace: str
) -> None:
    people = ["lena@a.example", "omar@a.example", "mia@a.example"]
    async with _with_a_bundle(broker_url, namespace, people) as stack:
        died = {one["dead_at"] for one in (await _listed(stack)).values()}
        assert None not in died
        code, out, _ = await stack.command("dead-letters", "show", "ev-0", "--json")
        assert code == 0
        assert people[0] in json.loads(out)["body"]
        assert "body_base64" not in out
        assert "header-of" not in out
        assert people[1] not in out
        code, out, err = await stack.command("dead-letters", "discard", "--id", "ev-1", "--yes")
        assert (code, out) == (0, "discarded 1\n"), err
        letters = await _listed(stack)
        assert set(letters) == {"ev-0", "ev-2"}
        assert {one["reason"] for one in letters.values()} == {"poison"}
        assert {one["dead_at"] for one in letters.values()} == died, "--older-than goes by it"
        code, out, err = await stack.command("dead-letters", "replay", "--id", "ev-2")
        assert (code, out) == (0, "replayed 1\n"), err
        assert set(await _listed(stack)) == {"ev-0"}
        stack.start_worker()
        await wait_until(lambda: stack.delivered("shop") == {people[2]}, "the replayed one", 60)
