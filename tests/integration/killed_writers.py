"""Processes that write receipts, one after the other, each killed in the midst of it.

    python -m tests.integration.killed_writers URL NAMESPACE SECRET KILLS

Prints for each a line of JSON: the numbers of the receipts that were confirmed to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from functools import partial
from typing import Final

from devtools.waiting import wait_until
from tests.integration.receipt_writing import Hand, fields, writing

EACH: Final = 100_000
"""Numbers of receipts that are one process's own."""
_MOST_WAITING: Final = 300


async def _write(url: str, namespace: str, secret: bytes, number: int, pipe: int) -> None:
    def confirmed(receipt: int) -> None:
        os.write(pipe, b"%d\n" % receipt)

    hand = Hand()
    hand.messages = _MOST_WAITING
    async with writing(url, namespace, hand, secret) as writer:
        for receipt in range(number * EACH, (number + 1) * EACH):
            await wait_until(lambda: writer.waiting < _MOST_WAITING, "a confirm")
            writer.write(fields(receipt), partial(confirmed, receipt))


def _killed(url: str, namespace: str, secret: bytes, number: int, least: int) -> list[int]:
    """Start one, and kill it when so many receipts were confirmed to it; gives all that were."""
    reading, writing_end = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        try:
            asyncio.run(_write(url, namespace, secret, number, writing_end))
        finally:
            os._exit(1)
    os.close(writing_end)
    said = b""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while said.count(b"\n") < least and (some := pipe.read(65_536)):
            said += some
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while some := pipe.read(65_536):
            said += some
    return [int(one) for one in said.split(b"\n")[:-1]]


def main() -> None:
    url, namespace, secret, kills = sys.argv[1:]
    chance = random.Random(14)
    for number in range(int(kills)):
        found = _killed(url, namespace, secret.encode(), number, chance.randint(1, 400))
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
