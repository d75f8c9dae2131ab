"""The rights that the docs give to the broker's users of the door and of the ledger are enough."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import aio_pika
import pytest

from devtools.broker import RunningBroker
from devtools.stack import Stack
from devtools.waiting import wait_until
from tests.integration.door.door_parts import running_door, webhook_bytes
from worker.door.answers import AnswerCode

DOCS: Final = Path(__file__).parents[2] / "docs"
_RIGHTS: Final = r"set_permissions %s (?:\\\n\s+)?'([^']*)' '([^']*)' '([^']*)'"


def _url_of(broker: RunningBroker, user: str, page: str) -> str:
    """That of a new user with the rights that `page` gives first."""
    rights = re.findall(_RIGHTS % user, (DOCS / page).read_text())[0]
    broker.ctl("add_user", user, "secret")
    broker.ctl("set_permissions", user, *rights)
    return f"amqp://{user}:secret@{broker.url.rpartition('@')[2]}"


@pytest.mark.timeout(120)
async def test_a_door_before_the_first_worker_waits_and_a_ledger_reads_the_dead_letters(
    own_broker: RunningBroker,
) -> None:
    async with Stack(own_broker.url, "consent", RECEIPTS="on") as stack:
        url = _url_of(own_broker, "door", "door.md")
        async with running_door(url, "consent", waits=False) as door:
            assert await door.code(webhook_bytes()) == (503, AnswerCode.BROKER_AWAY.value)

            async def says_why() -> bool:
                told = json.loads((await door.get("/readyz"))[1])
                why = "broker: this user lacks a right that a worker needs: ACCESS_REFUSED - "
                (problem,) = told["problems"]
                return problem.startswith(why) and "to exchange 'consent." in problem

            await wait_until(says_why, "the door to say why")
            code, _, err = await stack.command("topology", "declare")
            assert code == 0, err
            await wait_until(door.is_ready, "the door to find the exchange")
            assert await door.code(webhook_bytes()) == (202, AnswerCode.ACCEPTED.value)
        more = ("events", "events.2")
        async with running_door(url, "consent", waits=False, event_queues=more) as door:
            assert await door.code(webhook_bytes()) == (503, AnswerCode.BROKER_AWAY.value)
            stack.override("EVENT_QUEUES", ",".join(more))
            code, _, err = await stack.command("topology", "declare")
            assert code == 0, err
            await wait_until(door.is_ready, "the door to find the other queue")
            for _ in range(4):
                assert await door.code(webhook_bytes()) == (202, AnswerCode.ACCEPTED.value)
            await stack.wait_for_depth("events", 3)
            await stack.wait_for_depth("events.2", 2)

        async with await aio_pika.connect(own_broker.url) as connection:
            channel = await connection.channel(publisher_confirms=True)
            letter = aio_pika.Message(b"no json", delivery_mode=2)
            await channel.default_exchange.publish(letter, "consent.dead-letters")
        stack.override("AMQP_URL", _url_of(own_broker, "ledger", "running-a-fleet.md"))
        stack.override("LEDGER_URL", f"sqlite://{stack.path}/ledger.sqlite")
        code, out, err = await stack.command("ledger", "--letters")
        assert (code, err) == (0, ""), err
        assert out == "1 dead letter in the queue, of which 1 had no receipt\n"
