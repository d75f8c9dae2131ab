"""`python -m devtools.door_trial [--webhooks 100000]`: webhooks through a broker that is restarted
and blocked, and a door that is killed. Ends with 1 unless each that was answered with 202 has an
outcome, and a receipt of the door.

Everything is real but Adobe, whose emulator runs in this process, as does who posts. A webhook that
is not answered with 202 is posted again, as Didomi does. The broker is native, to be restarted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp

from devtools.native_rabbitmq import NativeRabbitMQ
from devtools.ports import lasting_port
from devtools.receipts_read import records_of
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.door.answers import WEBHOOK_PATH
from worker.evidence.heading import read_message
from worker.evidence.receipt import read_receipt

_NAMESPACE: Final = "trial"
_SECRET: Final = "secret-of-the-trial-0123456789abcdef"
_POSTERS: Final = 40
_AGAIN_SECONDS: Final = 0.5
_ALARM_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 900.0
_ENDS: Final = frozenset({"delivered", "skipped", "dead"})


class _Trial:
    """One run with so many webhooks."""

    def __init__(self, broker: NativeRabbitMQ, stack: Stack, port: int, webhooks: int) -> None:
        self._broker = broker
        self._stack = stack
        self._url = f"http://127.0.0.1:{port}{WEBHOOK_PATH}"
        self._ids = [str(uuid.uuid4()) for _ in range(webhooks)]
        self._left = list(self._ids)
        self._door = self._start_door()
        self._answers: Counter[str] = Counter()
        self._slowest_seconds = 0.0
        self.accepted: set[str] = set()

    def _start_door(self) -> subprocess.Popen[bytes]:
        log = (self._stack.path / "door.log").open("ab")
        command = [sys.executable, "-m", "worker", "receive"]
        return subprocess.Popen(command, env=self._stack.env, stdout=log, stderr=log)

    async def play(self) -> None:
        """Post everything, with a blow at each of its times."""
        blows: list[tuple[float, str, Callable[[], Awaitable[None]]]] = [
            (0.15, "restart of the broker", self._restart),
            (0.30, "kill of the door", self._kill_door),
            (0.45, "restart of the broker", self._restart),
            (0.60, "memory alarm", self._alarm),
            (0.75, "kill of the door", self._kill_door),
            (0.85, "restart of the broker", self._restart),
        ]
        async with aiohttp.ClientSession() as http:
            posting = [asyncio.create_task(self._post(http)) for _ in range(_POSTERS)]
            for share, name, strike in blows:
                await self._reach(int(share * len(self._ids)))
                print(f"{len(self.accepted)} accepted; {name}", flush=True)
                await strike()
            await asyncio.gather(*posting)
        print(f"answers: {dict(self._answers)}; slowest {self._slowest_seconds:.1f} s", flush=True)

    async def _reach(self, count: int) -> None:
        what = f"{count} accepted webhooks"
        await wait_until(lambda: len(self.accepted) >= count, what, _SETTLE_SECONDS)

    async def _post(self, http: aiohttp.ClientSession) -> None:
        while self._left:
            event_id = self._left.pop()
            entity = event("org-shop", f"{event_id}@a.example", event_id=event_id)
            document = {"type": "event.created", "parameters": {"entity": entity}}
            while event_id not in self.accepted:
                code = await self._answer(http, json.dumps(document))
                self._answers[code] += 1
                if code == "202":
                    self.accepted.add(event_id)
                else:
                    await asyncio.sleep(_AGAIN_SECONDS)

    async def _answer(self, http: aiohttp.ClientSession, body: str) -> str:
        began = time.monotonic()
        try:
            async with http.post(self._url, data=body, headers={"X-Door": _SECRET}) as reply:
                document: dict[str, Any] = await reply.json()
        except aiohttp.ClientError:
            return "no answer"
        self._slowest_seconds = max(self._slowest_seconds, time.monotonic() - began)
        return str(document.get("error") or reply.status)

    async def _restart(self) -> None:
        await asyncio.to_thread(self._broker.restart)

    async def _kill_door(self) -> None:
        self._door.kill()
        await asyncio.to_thread(self._door.wait, 10)
        self._door = self._start_door()

    async def _alarm(self) -> None:
        watermark = "set_vm_memory_high_watermark"
        await asyncio.to_thread(self._broker.ctl, watermark, "0.0000001")
        await asyncio.sleep(_ALARM_SECONDS)
        await asyncio.to_thread(self._broker.ctl, watermark, "0.9")

    async def settle(self) -> None:
        """Wait until nothing is left to do, and end everything."""

        async def is_done() -> bool:
            depths = [await self._stack.depth(one) for one in ("events", "retries", "parked")]
            metrics = (await self._stack.get("/metrics"))[1]
            return depths == [0, 0, 0] and "consent_messages_in_flight 0.0" in metrics

        await wait_until(is_done, "everything has an outcome", _SETTLE_SECONDS)
        for one in (self._door, *self._stack.workers):
            one.send_signal(signal.SIGTERM)
            await asyncio.to_thread(one.wait, 60)

    async def missing(self) -> dict[str, int]:
        """How many accepted webhooks lack what, by the receipts."""
        received: set[str] = set()
        ended: set[str] = set()
        for one in await records_of(self._stack.amqp_url, _NAMESPACE):
            message = read_message(one.body)
            if message.heading.kind != "receipts":
                continue
            for receipt in map(read_receipt, message.rows):
                if receipt.outcome == "received":
                    received.add(receipt.event)
                elif receipt.outcome in _ENDS:
                    ended.add(receipt.event)
        lacking = {
            "a receipt of the door": len(self.accepted - received),
            "an outcome": len(self.accepted - ended),
        }
        print(f"{len(self.accepted)} accepted, {len(received)} received, {len(ended)} ended")
        return {name: count for name, count in lacking.items() if count}


async def _run(webhooks: int) -> dict[str, int]:
    port = lasting_port()
    settings = {
        "RECEIPTS": "on",
        "DOOR_HOST": "127.0.0.1",
        "DOOR_PORT": port,
        "DOOR_HEADER_NAME": "X-Door",
        "DOOR_HEADER_SECRET": _SECRET,
    }
    with NativeRabbitMQ() as broker:
        async with Stack(broker.url, _NAMESPACE, **settings) as stack:
            stack.add_integration("shop")
            stack.start_worker()
            await stack.wait_until_consuming()
            trial = _Trial(broker, stack, port, webhooks)
            await trial.play()
            await trial.settle()
            return await trial.missing()


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--webhooks", type=int, default=100_000)
    missing = asyncio.run(_run(parser.parse_args().webhooks))
    for name, count in missing.items():
        print(f"MISSING: {count} accepted webhooks without {name}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(_main())
