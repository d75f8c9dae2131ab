"""Where all contestants meet: one broker, one stub, one producer, one Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pamqp import commands
from yarl import URL

from bench.cores import Cores, share
from bench.publisher import Job, Line, Report
from devtools.broker import running_broker
from devtools.proxy import through
from devtools.redis_server import running_redis


class Arena:
    """Made by `opened`. `folder` is for files that go with it."""

    def __init__(
        self,
        broker_url: str,
        redis_url: str,
        stub: int,
        tap: int,
        folder: Path,
        cores: Cores,
    ) -> None:
        self.cores = cores
        self.broker_url = broker_url
        self.redis_url = redis_url
        self.stub_url = f"http://127.0.0.1:{stub}"
        self.tap_port = tap
        self.folder = folder
        self._line = Line(broker_url)

    def amqp_url(self, *, by_tap: bool = False) -> str:
        """The broker, or the tap before it."""
        return through(self.broker_url, self.tap_port) if by_tap else self.broker_url

    def declare(self, queue: str) -> None:
        """A quorum queue."""
        arguments: dict[str, Any] = {"x-queue-type": "quorum"}
        self._ask(
            commands.Queue.Declare(queue=queue, durable=True, arguments=arguments),
            "Queue.DeclareOk",
        )

    def purge(self, queue: str) -> None:
        self._ask(commands.Queue.Purge(queue=queue), "Queue.PurgeOk")

    def depth(self, queue: str) -> int:
        """Messages that wait in a queue, without those a worker has in hand."""
        answer = self._ask(commands.Queue.Declare(queue=queue, passive=True), "Queue.DeclareOk")
        return int(answer.message_count)

    def take_one(self, queue: str) -> tuple[Any, bytes]:
        """The properties and the body of the message that waits in a queue."""
        message = self._line.get(queue)
        if message is None:
            raise RuntimeError(f"nothing was published to {queue}")
        return message

    def start_publishing(self, template: bytes, job: Job) -> Callable[[], Report]:
        """Publish in a process of its own; the answer waits for its end."""
        path = self.folder / f"template-{time.monotonic_ns()}"
        path.write_bytes(template)
        job = replace(job, url=self.broker_url, template=str(path))
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.publisher", job.dumps()], stdout=subprocess.PIPE
        )

        def wait() -> Report:
            output, _ = process.communicate()
            if process.returncode:
                raise RuntimeError("the producer failed")
            return Report(**json.loads(output))

        return wait

    def arrived(self, kind: str = "t", without: str = "") -> int:
        """Different events that have reached the stub since the last reset, but for one inlet."""
        return int(self._control(f"arrived?kind={kind}&without={without}"))

    def reset(self) -> None:
        """Let the stub forget what it saw."""
        self._control("reset")

    def hang(self, *inlets: str) -> None:
        """From now on these inlets do not answer, and all others do."""
        self._control(f"hang?inlets={quote(' '.join(inlets))}")

    def summary(self, since_us: int = 0, kind: str = "t", without: str = "") -> dict[str, Any]:
        """Latencies of what was due since then; see `Figures.summary`."""
        answer = self._control(f"summary?kind={kind}&since={since_us}&without={without}")
        return dict(answer)

    def _control(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.stub_url}/bench/{what}") as answer:
            return json.loads(answer.read())

    def _ask(self, command: Any, answer: str) -> Any:
        return self._line.ask(command, answer)


@contextmanager
def opened() -> Iterator[Arena]:
    """Start everything, and end it."""
    cores = share()
    with (
        running_broker() as broker,
        running_redis() as redis,
        tempfile.TemporaryDirectory(prefix="consent-bench-") as folder,
    ):
        address = URL(broker.url)
        stub = subprocess.Popen(
            [sys.executable, "-m", "bench.stub", address.host or "", str(address.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            line = stub.stdout.readline() if stub.stdout else ""
            http_port, tap_port = (int(one) for one in line.split())
            yield Arena(broker.url, redis.url, http_port, tap_port, Path(folder), cores)
        finally:
            stub.kill()
            stub.wait()
            os.sched_setaffinity(0, cores.together)
