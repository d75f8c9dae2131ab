"""A replay at a rate, with letters that can't be replayed before those that can."""

from __future__ import annotations

import asyncio
import json

from devtools.stack import Stack, event

LARGE, SOUND = 8, 2
MOST_BYTES = 2_000


def _body(number: int, padding: int = 0) -> bytes:
    made = event("org-shop", f"u{number}@a.example", event_id=f"ev-{number}")
    return json.dumps(made | {"padding": "x" * padding}).encode()


async def test_letters_that_are_too_large_are_named_and_keep_no_other_one_waiting(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, MAX_EVENT_BYTES=MOST_BYTES) as stack:
        stack.add_integration("shop")
        code, _, err = await stack.command("topology", "declare")
        assert code == 0, err
        for number in range(LARGE + SOUND):
            body = _body(number, MOST_BYTES if number < LARGE else 0)
            headers = {"consent-integration": "shop", "consent-dead-reason": "too-large"}
            await stack.publish(
                [body], "dead-letters", headers=headers, message_id=f"letter-{number}"
            )
        code, out, err = await stack.command("dead-letters", "replay", "--dry-run")
        assert (code, out) == (0, f"would have replayed {SOUND}\n"), err
        for number in range(LARGE):
            assert f"not replayed, and kept: letter-{number}: its body has" in err
        replaying = stack.command("dead-letters", "replay", "--rate", "0.2", "--json")
        code, out, err = await asyncio.wait_for(replaying, 30)  # with a turn for each 45 s at least
        report = json.loads(out)
        assert (code, report["replayed"], report["kept"]) == (1, SOUND, LARGE)
        for number in range(LARGE):
            assert f"not replayed, and kept: letter-{number}: its body has" in err
        await stack.wait_for_depth("retries", SOUND)
        await stack.wait_for_depth("dead-letters", LARGE)
