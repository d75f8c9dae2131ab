"""One message of anybody stops nobody, and the commands work beside it."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from typing import Any

import aio_pika
import pytest
from pamqp import encode

from devtools.stack import Stack, event
from devtools.waiting import wait_until

LARGE_BYTES = 12 * 1024 * 1024


async def _publish_raw(stack: Stack, queue: str, table: bytes, body: bytes, count: int = 1) -> None:
    """Publish with a header table of these very bytes."""
    real = encode.field_table
    connection = await aio_pika.connect(stack.amqp_url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        message = aio_pika.Message(body, delivery_mode=2, headers={"planted": "here"})
        encode.METHODS["table"] = lambda _: table
        try:
            for _ in range(count):
                await channel.default_exchange.publish(message, f"{stack.namespace}.{queue}")
        finally:
            encode.METHODS["table"] = real


def _nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = b"\x01aF" + struct.pack(">I", len(inner)) + inner
    return struct.pack(">I", len(inner)) + inner


def _good(count: int) -> list[bytes]:
    return [json.dumps(event("org-shop", f"u{i}@a.example")).encode() for i in range(count)]


async def _listed(stack: Stack) -> list[dict[str, Any]]:
    code, out, error = await stack.command("dead-letters", "list", "--json")
    assert code == 0, error
    letters: list[dict[str, Any]] = json.loads(out)
    return letters


async def test_headers_nested_without_end_are_one_dead_letter_and_stop_nobody(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        began = time.monotonic()
        await _publish_raw(stack, "events", _nested(900), _good(1)[0])
        await stack.publish(_good(20))
        await wait_until(lambda: len(stack.delivered("shop")) == 20, "the good ones", 10)
        assert time.monotonic() - began < 5
        await stack.wait_for_depth("dead-letters", 1)
        # As it is when the broker itself puts it there.
        await _publish_raw(stack, "dead-letters", _nested(900), b"{}")
        letters = await _listed(stack)
        assert [one["reason"] for one in letters] == ["invalid-headers", "unroutable"]
        for letter in letters[:1]:
            assert (await stack.command("dead-letters", "show", letter["id"]))[0] == 0
        code, out, _ = await stack.command("dead-letters", "export", "-")
        assert (code, len(out.splitlines())) == (0, 2)
        code, out, error = await stack.command("dead-letters", "replay")
        assert code == 0, error
        assert "replayed 2" in out
        await wait_until(lambda: len(stack.delivered("shop")) == 20, "no one more")
        code, out, error = await stack.command("dead-letters", "discard", "--yes")
        assert code == 0, error


async def test_a_body_that_no_worker_takes_is_a_dead_letter_whole(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([b"x" * LARGE_BYTES])
        await stack.publish(_good(20))
        await wait_until(lambda: len(stack.delivered("shop")) == 20, "the good ones", 10)
        await stack.wait_for_depth("dead-letters", 1)
        (letter,) = await _listed(stack)
        assert (letter["reason"], letter["body_bytes"]) == ("too-large", LARGE_BYTES)
        code, out, error = await stack.command("dead-letters", "replay")
        assert (code, "replayed 0" in out) == (1, True)
        assert "CONSENT_WORKER_MAX_EVENT_BYTES" in error
        assert await stack.depth("dead-letters") == 1
        assert "broker.session_lost" not in stack.log_text()


@pytest.mark.parametrize("number", [2**63 - 1, -1, True, "many"])
async def test_a_forged_dead_letter_is_replayed_with_the_others(
    broker_url: str, namespace: str, number: Any
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        assert (await stack.command("topology", "declare"))[0] == 0
        connection = await aio_pika.connect(stack.amqp_url)
        async with connection:
            channel = await connection.channel(publisher_confirms=True)
            forged = {
                "consent-replays": number,
                "consent-attempts": number,
                "consent-dead-at": number,
                "consent-bundle": number if number is True else None,
            }
            await asyncio.gather(
                *(
                    channel.default_exchange.publish(
                        aio_pika.Message(
                            body, headers=forged, delivery_mode=2, message_id=f"\x1b[2J\nm{index}"
                        ),
                        f"{stack.namespace}.dead-letters",
                    )
                    for index, body in enumerate(_good(3))
                )
            )
        await stack.wait_for_depth("dead-letters", 3)
        code, out, _ = await stack.command("dead-letters", "list")
        assert code == 0
        assert "\x1b" not in out
        assert len(out.splitlines()) == 4, "a line a letter, and their number"
        code, out, error = await stack.command("dead-letters", "replay")
        assert (code, out.strip()) == (0, "replayed 3"), error
        stack.start_worker()
        await wait_until(lambda: len(stack.delivered("shop")) == 3, "all of them")
