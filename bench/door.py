"""What a webhook costs the door, and how soon it is answered: `python -m bench.door`.

A real RabbitMQ, a door in a process of its own and who posts share the machine. Webhooks are posted
at times that are fixed before, over connections that stay open; what is late by our own fault
counts as the door's. The door's CPU is that of its process, by the scheduler's account.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from contextlib import suppress
from typing import Final, cast

import uvloop

from bench.procfs import cpu_microseconds, peak_memory_mb
from devtools import guard
from devtools.broker import running_broker
from devtools.ports import free_port
from devtools.stack import event
from worker.door.answers import WEBHOOK_PATH
from worker.door.credentials import Credentials
from worker.settings import WorkerSettings

_SECRET: Final = "secret-of-the-benchmark-0123456789ab"
_WARM_UP_SECONDS: Final = 3.0
_END: Final = b"\r\n\r\n"


class _Line(asyncio.Protocol):
    """One connection, with one request under way at most."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[int] | None = None
        self._said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio declares what any protocol gets; that of a TCP line can be written to. uvloop's
        # own is one by what it can, and by no class.
        self._transport = cast("asyncio.Transport", transport)

    def post(self, request: bytes) -> asyncio.Future[int]:
        """Gives the status of the answer."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._said += data
        head, end, body = self._said.partition(_END)
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or b"0")
        if end and len(body) >= length and self._answered is not None:
            self._said = b""
            self._answered.set_result(int(head[9:12]))


class _Posting:
    """Posts `rate` webhooks a second, and notes how long each took from its time on."""

    def __init__(self, port: int, rate: int, token: str) -> None:
        self._port = port
        self._rate = rate
        self._head = (
            f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )
        self._free: list[_Line] = []
        self.milliseconds: list[float] = []
        self.statuses: dict[int, int] = {}

    def _request(self) -> bytes:
        entity = event("org-shop", "lena@a.example", event_id=str(uuid.uuid4()))
        document = {"type": "event.created", "regulation": "gdpr", "parameters": {"entity": entity}}
        body = json.dumps(document)
        return f"{self._head}{len(body)}\r\n\r\n{body}".encode()

    async def run(self, seconds: float) -> None:
        """Post for so long, and wait for the answers."""
        loop = asyncio.get_running_loop()
        requests = [self._request() for _ in range(round(seconds * self._rate))]
        began = loop.time()
        waiting = set()
        for number, request in enumerate(requests):
            due = began + number / self._rate
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            task = asyncio.create_task(self._post(request, due))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        if waiting:
            await asyncio.wait(waiting)

    async def _post(self, request: bytes, due: float) -> None:
        loop = asyncio.get_running_loop()
        if self._free:
            line = self._free.pop()
        else:
            _, line = await loop.create_connection(_Line, "127.0.0.1", self._port)
        status = await line.post(request)
        self.milliseconds.append((loop.time() - due) * 1000)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._free.append(line)


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1),
        ):
            return
        time.sleep(0.1)
    raise SystemExit("the door is not ready")


async def _measure(pid: int, posting: _Posting, rate: int, seconds: float) -> None:
    await posting.run(_WARM_UP_SECONDS)
    posting.milliseconds.clear()
    posting.statuses.clear()
    cpu = cpu_microseconds(pid)
    await posting.run(seconds)
    used = cpu_microseconds(pid) - cpu
    count = len(posting.milliseconds)
    cuts = statistics.quantiles(posting.milliseconds, n=1000)
    print(
        f"{count} webhooks at {rate}/s: {used / count:.0f} µs of CPU each; answered after "
        f"{cuts[499]:.1f} ms (median), {cuts[989]:.1f} ms (p99), {cuts[998]:.1f} ms (p99.9); "
        f"statuses {posting.statuses}; {peak_memory_mb(pid):.0f} MB; "
        f"load of the machine {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--receipts", action="store_true")
    chosen = parser.parse_args()
    door_port, http_port = free_port(), free_port()
    with running_broker() as broker:
        settings = {
            "AMQP_URL": broker.url,
            "DOOR_HOST": "127.0.0.1",
            "DOOR_PORT": str(door_port),
            "DOOR_CLIENT_ID": "didomi",
            "DOOR_CLIENT_SECRET": _SECRET,
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(http_port),
            "RECEIPTS": "on" if chosen.receipts else "off",
        }
        env = {f"CONSENT_WORKER_{name}": one for name, one in settings.items()}
        command = [sys.executable, "-m", "worker", "receive"]
        door = subprocess.Popen(command, env=guard.marked() | env)
        try:
            _wait_until_ready(http_port)
            os.environ.update(env)
            tokens = Credentials(WorkerSettings()).tokens
            assert tokens is not None
            posting = _Posting(door_port, chosen.rate, tokens.issue(time.time()))
            uvloop.run(_measure(door.pid, posting, chosen.rate, chosen.seconds))
        finally:
            door.terminate()
            door.wait(20)


if __name__ == "__main__":
    _main()
