"""Letters that RabbitMQ makes itself are in the ledger after a pass, and are listed from there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

ANNA = "anna@northwind.example"


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, RECEIPTS="on") as running:
        running.override("LEDGER_URL", f"sqlite://{running.path}/ledger.sqlite")
        running.add_integration("shop")
        code, _, err = await running.command("topology", "declare")
        assert code == 0, err
        yield running


async def _rejected(stack: Stack, *event_ids: str) -> None:
    """Have RabbitMQ make dead letters of events that no worker has seen."""
    bodies = [json.dumps(event("org-shop", ANNA, event_id=one)).encode() for one in event_ids]
    await stack.publish(bodies)
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{stack.namespace}.events")
        for _ in event_ids:
            message = await queue.get(timeout=10)
            assert message is not None
            await message.reject(requeue=False)


async def _ledger_letters(stack: Stack, *arguments: str) -> dict[str, Any]:
    code, out, err = await stack.command(
        "dead-letters", "list", "--from-ledger", "--json", *arguments
    )
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


@pytest.mark.timeout(120)
async def test_a_letter_of_rabbitmq_is_compared_told_and_shown(stack: Stack) -> None:
    await _rejected(stack, "ev-1", "ev-2")
    await stack.wait_for_depth("dead-letters", 2)
    code, out, err = await stack.command("ledger", "--letters")
    assert (code, out) == (0, "2 dead letters in the queue, of which 2 had no receipt\n"), err
    await stack.wait_for_depth("dead-letters", 2)
    code, out, err = await stack.command("receipts", "find", "--event", "ev-1")
    assert code == 0, err
    assert "event (without a receipt) at no integration: dead" in out
    assert "RabbitMQ has made it" in out
    assert "replay after the upgrade" in out
    listed = await _ledger_letters(stack)
    assert (listed["known"], listed["in_queue"], listed["not_in_the_ledger"]) == (2, 2, 0)
    assert {one["reason"] for one in listed["letters"]} == {"unexpected-error"}
    one = (await _ledger_letters(stack, "--event", "ev-2", "--since", "10m"))["letters"]
    assert len(one) == 1, "the broker says when it made it"
    letter_id = one[0]["id"]
    code, out, err = await stack.command("dead-letters", "show", letter_id, "--from-ledger")
    assert code == 0, err
    assert "reason: unexpected-error" in out
    assert ANNA not in out
    assert f"dead-letters show {letter_id}" in err
    code, out, _ = await stack.command("dead-letters", "show", "none-such", "--from-ledger")
    assert (code, "looks into the queue itself" in out) == (1, True)


@pytest.mark.timeout(120)
async def test_the_ledger_that_runs_makes_the_pass_that_is_asked_for(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming()
    stack.start_ledger()

    def has_passed() -> bool:
        return "ledger.letters" in _log(stack)

    await wait_until(has_passed, "the pass at the start", 40)
    await stack.publish([json.dumps(event("org-shop", "no address", event_id="ev-3")).encode()])
    await stack.wait_for_depth("dead-letters", 1)
    code, out, err = await stack.command("ledger", "--letters")
    assert (code, out) == (0, "1 dead letter in the queue, of which 0 had no receipt\n"), err
    listed = await _ledger_letters(stack)
    assert [one["reason"] for one in listed["letters"]] == ["no-identity"]
    code, out, _ = await stack.command("dead-letters", "list", "--from-ledger")
    assert "letters in the queue now: 1; that the ledger knows: 1\n" in out
    code, out, err = await stack.command("dead-letters", "groups", "--json")
    assert code == 0, err
    code, said, _ = await stack.command("status", "--json")
    (group,) = json.loads(said)["dead_letter_groups"]
    assert group["group"] == json.loads(out)[0]["group"] == listed["letters"][0]["group"]
    assert json.loads(said)["dead_letters"]["letters"] == 1


def _log(stack: Stack) -> str:
    return "".join(one.read_text() for one in stack.path.glob("ledger-*.log"))
