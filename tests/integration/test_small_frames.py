"""Where the broker takes small frames alone, headers of a producer keep nobody's events back."""

from __future__ import annotations

import json

import pytest

from devtools.broker import RunningBroker
from devtools.stack import Stack, event
from devtools.waiting import wait_until

FRAME_BYTES = 8192
"""The least that RabbitMQ 4 can be told to take."""


@pytest.mark.timeout(120)
async def test_a_successor_of_large_headers_fits_into_the_frames_that_were_negotiated(
    own_broker: RunningBroker, namespace: str
) -> None:
    own_broker.ctl("eval", f"application:set_env(rabbit, frame_max, {FRAME_BYTES}).")
    headers = {"small": "kept", "note": "n" * 1000} | {f"h{n}": "x" * 700 for n in range(9)}
    async with Stack(own_broker.url, namespace) as stack:
        stack.add_integration("shop")
        stack.add_integration("waits", paused=True)
        stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish([b"no event"], headers=headers)
        parked = json.dumps(event("org-waits", "u@a.example", event_id="parked")).encode()
        await stack.publish([parked], headers=headers)
        await stack.wait_for_depth("dead-letters", 1, 15)
        code, out, err = await stack.command("dead-letters", "export", "-")
        assert code == 0, err
        letter = json.loads(out)
        assert letter["body"] == "no event"
        stack.add_integration("waits")
        await wait_until(lambda: bool(stack.delivered("waits")), "the parked event", 30)
        assert "publish.reopening" not in stack.log_text()
