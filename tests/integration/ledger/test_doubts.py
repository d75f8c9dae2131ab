"""Events that waited in doubt, as the ledger tells of them when nobody doubts any more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, RECEIPTS="on") as running:
        running.override("LEDGER_URL", f"sqlite://{running.path}/ledger.sqlite")
        running.add_integration("shop")
        yield running


async def _told(stack: Stack, event_id: str) -> list[tuple[str, str, str]]:
    """Integration, outcome and reason of each receipt of an event."""
    code, out, err = await stack.command("ledger", "--once")
    assert code == 0, out + err
    _, out, err = await stack.command("receipts", "find", "--event", event_id, "--json")
    found: list[dict[str, Any]] = json.loads(out)["events"]
    return [
        (life["integration"], step["outcome"], step["reason"])
        for life in found
        for step in life["steps"]
    ]


async def test_the_copy_of_an_event_for_a_file_that_is_half_written_ends_on_record(
    stack: Stack,
) -> None:
    link = stack.integrations / "second.json"
    link.symlink_to(stack.integrations / "nowhere")
    stack.start_worker()
    await stack.wait_until_consuming()
    said = event("org-shop", "lena@a.example")
    await stack.publish([json.dumps(said).encode()])

    async def is_parked_twice() -> bool:
        return (await _told(stack, said["id"])).count(("", "parked", "in-doubt")) == 2

    await wait_until(is_parked_twice, "a copy that came back while there was doubt", 60)
    link.unlink()

    async def has_ended() -> bool:
        return ("", "skipped", "served") in await _told(stack, said["id"])

    await wait_until(has_ended, "the end of the copy", 60)
    _, out, _ = await stack.command("status", "--json")
    shares = json.loads(out)["conservation"]["integrations"]
    assert {one: (by["delivered"], by["waiting"]) for one, by in shares.items()} == {
        "shop": (1, 0),
        "": (0, 0),
    }
