"""By what a canary is known again, when it comes back to the dead letters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import aio_pika
import pytest

from devtools.stack import Stack, event

LETTERS = 6


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace) as running:
        running.add_integration("shop")
        running.add_integration("outlet", organization_id="org-shop")
        code, _, err = await running.command("topology", "declare")
        assert code == 0, err
        yield running


@cache
def _body(number: int) -> bytes:
    """The same each time."""
    return json.dumps(event("org-shop", f"u{number}@a.example", event_id=f"ev-{number}")).encode()


async def bury(stack: Stack, integration: str | None, *numbers: int, replays: int = 0) -> None:
    headers: Any = {"consent-dead-reason": "unexpected-error", "consent-replays": replays}
    if integration is not None:
        headers["consent-integration"] = integration
    for number in numbers:
        await stack.publish([_body(number)], "dead-letters", headers=headers)


async def _take(stack: Stack, queue: str) -> None:
    """What waits there, as a worker would."""
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(f"{stack.namespace}.{queue}", passive=True)
        await (await declared.get()).ack()


async def _replay(stack: Stack, *options: str) -> tuple[int, dict[str, Any], str]:
    code, out, err = await stack.command("dead-letters", "replay", *options, "--json")
    return code, json.loads(out), err


async def test_canaries_without_an_integration_die_at_those_that_they_go_to(stack: Stack) -> None:
    stack.sandbox.state.faults.inject(target="collection", kind="status", status=400)
    await bury(stack, None, *range(LETTERS))
    stack.start_worker()
    await stack.wait_until_consuming()
    code, report, err = await _replay(stack, "--canary", "2", "--wait", "60s")
    assert (code, report["replayed"], report["canaries"]["sent"]) == (1, 2, 2)
    assert 1 <= report["canaries"]["came_back"] <= 2, "canaries, and not what came of them"
    assert "adobe-rejected" in err
    assert "the others stay" in err
    await stack.wait_for_depth("dead-letters", LETTERS - 2 + 2 * 2)


@pytest.mark.parametrize(
    ("was", "back", "replays", "is_known"),
    [
        ("shop", "shop", 1, True),
        (None, "shop", 1, True),
        (None, "shop", 0, True),
        (None, None, 1, True),
        ("shop", None, 1, True),
        ("former", "shop", 1, True),
        ("shop", "outlet", 0, False),
    ],
)
async def test_a_canary_is_known_again_wherever_it_dies(
    stack: Stack, was: str | None, back: str | None, replays: int, is_known: bool
) -> None:
    await bury(stack, was, 1, 2)
    waits = "60s" if is_known else "2s"
    running = asyncio.create_task(_replay(stack, "--canary", "1", "--wait", waits))
    queue = "events" if was is None else "retries"
    await stack.wait_for_depth(queue, 1)
    await bury(stack, back, 1, replays=replays)
    await bury(stack, "shop", 3, replays=1)  # another event, which dies meanwhile
    await _take(stack, queue)
    code, report, _ = await running
    came_back = report["canaries"]["came_back"]
    assert (code, came_back, report["replayed"]) == ((1, 1, 1) if is_known else (0, 0, 2))
