"""A worker with its state in a file: a restart forgets nothing, and another worker waits for it."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from devtools.stack import Stack, event
from devtools.waiting import wait_until

OLDER, NEWER = "2026-03-02T08:00:00Z", "2026-03-02T09:00:00Z"


def _choice(created_at: str, name: str) -> bytes:
    body = event("org-shop", "lena@a.example", event_id=name, created_at=created_at)
    return json.dumps(body).encode()


def _has_told(stack: Stack, name: str, **fields: str) -> bool:
    told = {"event": name, **fields}
    return any(told.items() <= one.items() for one in stack.log_entries())


async def test_an_older_choice_after_a_restart_does_not_win(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    url = f"sqlite://{tmp_path}/state.sqlite"
    async with Stack(broker_url, namespace, STATE_URL=url, LOG_LEVEL="debug") as stack:
        stack.add_integration("shop")
        first = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([_choice(NEWER, "newer")])
        # Killed between Adobe's answer and its settlement it would rightly be sent again.
        await wait_until(lambda: _has_told(stack, "delivery.delivered"), "the newer one")
        first.send_signal(signal.SIGKILL)
        await asyncio.to_thread(first.wait)
        stack.start_worker()
        await stack.publish([_choice(OLDER, "older")])
        await wait_until(
            lambda: _has_told(stack, "delivery.skipped", reason="superseded"),
            "the older one to be passed over",
        )
        assert len([one for one in stack.sandbox.state.requests if one["inlet"] == "shop"]) == 1
        code, out, _ = await stack.command("state", "show")
        assert code == 0
        assert "the state knows what was sent since" in out


async def test_a_second_worker_waits_for_the_file_and_takes_over(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    url = f"sqlite://{tmp_path}/state.sqlite"
    async with Stack(broker_url, namespace, STATE_URL=url, WATCH_SECONDS=0.2) as stack:
        stack.add_integration("shop")
        first = stack.start_worker()
        await stack.wait_until_consuming()
        stack.start_worker()

        async def says_so() -> bool:
            status, answer = await stack.get("/readyz")
            return status == 503 and "another worker has it" in answer

        await wait_until(says_so, "the second to say what it waits for")
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait) == 0

        async def is_ready() -> bool:
            return (await stack.get("/readyz"))[0] == 200

        await wait_until(is_ready, "the second to take over")
        await stack.publish([_choice(NEWER, "newer")])
        await wait_until(lambda: len(stack.delivered("shop")) == 1, "its delivery")
