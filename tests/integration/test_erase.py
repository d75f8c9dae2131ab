"""A person is erased: in the state, among the dead letters, and in what comes back later."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aio_pika

from devtools.stack import Stack, event
from devtools.waiting import wait_until

LENA, EMIL = "lena@northwind.example", "emil@northwind.example"
OLD, LATER = "2026-03-02T08:15:30Z", "2026-03-02T08:15:31Z"


def _body(user: str, number: int, created_at: str = OLD) -> bytes:
    return json.dumps(
        event("org-shop", user, event_id=f"ev-{number}", created_at=created_at)
    ).encode()


async def _bury(stack: Stack, bodies: list[bytes], integration: str = "shop") -> None:
    headers: Any = {"consent-dead-reason": "poison"}
    if integration:
        headers["consent-integration"] = integration
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        for number, body in enumerate(bodies):
            message = aio_pika.Message(
                body,
                delivery_mode=2,
                message_id=f"letter-{number}",
                headers=headers,
            )
            await channel.default_exchange.publish(message, f"{stack.namespace}.dead-letters")


async def test_a_person_is_forgotten_and_nobody_else(
    broker_url: str, redis_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, STATE_URL=redis_url, LOG_LEVEL="debug") as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_body(LENA, 1)])
        await wait_until(lambda: stack.delivered("shop") == {LENA}, "the first choice")
        await _bury(stack, [_body(EMIL, 2), _body(LENA, 3), _body(EMIL, 4), f"x{LENA}".encode()])
        code, out, err = await stack.command("erase", "--dry-run", stdin=LENA.encode())
        assert "would remove 1 dead letter\n" in out, err
        await stack.wait_for_depth("dead-letters", 4)
        code, out, err = await stack.command("erase", stdin=f"{LENA}\n".encode())
        assert code == 1, "the text that is no event is left to do"
        assert "removed 1 dead letter\n" in out
        assert "Adobe" in out
        assert "letter-3" in err
        assert LENA not in out + err
        code, out, err = await stack.command("dead-letters", "list", "--json")
        assert sorted(one["id"] for one in json.loads(out)) == [
            "letter-0",
            "letter-2",
            "letter-3",
        ], err
        await stack.publish([_body(LENA, 5, LATER)])
        await wait_until(lambda: '"reason":"erased"' in stack.log_text(), "the older one skipped")
        assert 'outcome="skipped",reason="erased"} 1.0' in (await stack.get("/metrics"))[1]
        await stack.publish([json.dumps(event("org-shop", LENA, event_id="ev-6")).encode()])
        await wait_until(lambda: len(stack.messages("shop")) == 2, "a choice of after it")


async def test_the_id_is_no_argument_and_needs_to_be_there(broker_url: str, namespace: str) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        code, _, _ = await stack.command("erase", LENA)
        assert code == 2
        code, _, err = await stack.command("erase", stdin=b" \n")
        assert (code, "ids" in err) == (1, True)


async def test_without_redis_the_dead_letters_go_and_the_rest_is_told(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        await _bury(stack, [_body(LENA, 1)])
        code, out, err = await stack.command("erase", stdin=LENA.encode())
        assert (code, "removed 1 dead letter\n" in out) == (1, True)
        assert "CONSENT_WORKER_STATE_URL" in err
        await asyncio.wait_for(stack.wait_for_depth("dead-letters", 0), 30)


async def test_at_one_integration_the_letters_of_another_one_stay(
    broker_url: str, redis_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, STATE_URL=redis_url) as stack:
        stack.add_integration("shop")
        stack.add_integration("news", organization_id="org-shop")
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        for number, integration in enumerate(("shop", "news", "", "gone")):
            await _bury(stack, [_body(LENA, number)], integration)
        only = ("erase", "--integration", "shop")
        code, out, err = await stack.command(*only, "--dry-run", stdin=LENA.encode())
        assert (code, "would remove 3 dead letters\n" in out) == (0, True), out + err
        code, out, err = await stack.command(*only, stdin=LENA.encode())
        assert (code, "removed 3 dead letters\n" in out) == (0, True), out + err
        code, out, err = await stack.command("dead-letters", "list", "--json")
        assert [one["integration"] for one in json.loads(out)] == ["news"], err
        code, out, err = await stack.command("erase", stdin=LENA.encode())
        assert (code, "removed 1 dead letter\n" in out) == (0, True), "without the option it goes"
