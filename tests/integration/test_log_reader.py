"""Who reads the log may stand still: nobody waits for that."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import orjson

from devtools.stack import Stack, event
from devtools.waiting import wait_until

INVALID = 1_500
"""A line of the log for each, several times what a pipe holds."""


def _start(stack: Stack) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "worker", "run"]
    stack.workers.append(subprocess.Popen(command, env=stack.env, stderr=subprocess.PIPE))
    return stack.workers[-1]


async def test_a_reader_of_the_log_that_stands_still_stops_neither_delivery_nor_the_end(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("quiet")
        worker = _start(stack)

        async def declared() -> bool:
            return await stack.depth("events") >= 0

        await wait_until(declared, "the queue", 30)
        await stack.publish([b"no json"] * INVALID)
        await stack.wait_for_depth("dead-letters", INVALID, 30)
        await stack.publish([orjson.dumps(event("org-quiet", "lena@northwind.example"))])
        await wait_until(lambda: len(stack.delivered("quiet")) == 1, "the event")
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, 30) == 0
