"""Who takes part: how each is started, and how an event reaches its queue."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import aio_pika
from pamqp.commands import Basic

from bench.arena import Arena
from bench.events import MAPPINGS, event_body, organization
from bench.processes import Measured
from bench.publisher import frames_of
from worker.broker.topology import Topology, build_topology, declare

PEERS_PYTHON: Final = Path(".venv-bench/bin/python")
_PERSISTENT: Final = 2


class Contestant(ABC):
    """`name` is short, `title` for the table. `prefill` is how many events a run needs at most."""

    name: str
    title: str
    prefill: int
    calls_http = True

    @abstractmethod
    def prepare(self, arena: Arena) -> None:
        """Make its queues, empty."""

    @abstractmethod
    def template(self, arena: Arena) -> bytes:
        """The frames of one message for it; call `prepare` before."""

    def with_customers(self, number: int) -> Contestant:
        """The same, ready for events of so many organizations. Who posts events as they are is."""
        return self

    @abstractmethod
    def start(self, arena: Arena, *, by_tap: bool = False) -> Measured:
        """Start its process."""

    def handled(self, arena: Arena, published: int) -> int:
        """How many events it has dealt with."""
        return arena.arrived()


def plain_template(queue: str, headers: dict[str, Any] | None = None) -> bytes:
    """An event as any AMQP client publishes it."""
    properties = Basic.Properties(delivery_mode=_PERSISTENT, headers=headers)
    return frames_of("", queue, properties, event_body())


@dataclass(slots=True)
class Peer(Contestant):
    """A program of bench/peers that reads plain events."""

    name: str
    title: str
    prefill: int = 25_000
    module: str = ""
    calls_http: bool = True
    arguments: tuple[str, ...] = ()

    @property
    def queue(self) -> str:
        return f"bench.{self.name}"

    def prepare(self, arena: Arena) -> None:
        arena.declare(self.queue)
        arena.purge(self.queue)

    def template(self, arena: Arena) -> bytes:
        return plain_template(self.queue)

    def start(self, arena: Arena, *, by_tap: bool = False) -> Measured:
        command = [str(PEERS_PYTHON), "-m", *self._command()]
        return Measured(command, self._env(arena, by_tap), arena.cores.contestant)

    def handled(self, arena: Arena, published: int) -> int:
        return arena.arrived() if self.calls_http else published - arena.depth(self.queue)

    def _command(self) -> list[str]:
        return [self.module, *self.arguments]

    def _env(self, arena: Arena, by_tap: bool = False) -> dict[str, str]:
        return {
            "BENCH_AMQP_URL": arena.amqp_url(by_tap=by_tap),
            "BENCH_QUEUE": self.queue,
            "BENCH_TARGET_URL": f"{arena.stub_url}/collection/{organization(0)}",
        }


@dataclass(slots=True)
class Framework(Peer):
    """A peer whose framework owns the format: its own publisher makes the first message."""

    publisher: str = ""
    _template: bytes = field(default=b"", repr=False)

    def prepare(self, arena: Arena) -> None:
        if not self._template:
            subprocess.run(
                [str(PEERS_PYTHON), "-m", self.publisher, "publish"],
                input=event_body(),
                env=self._env(arena),
                check=True,
                capture_output=True,
            )
            properties, content = arena.take_one(self.queue)
            self._template = frames_of("", self.queue, properties, content)
        arena.purge(self.queue)

    def template(self, arena: Arena) -> bytes:
        return self._template


@dataclass(slots=True)
class Ours(Contestant):
    """`consent-worker run` as a user starts it."""

    name: str = "ours"
    title: str = "consent-worker"
    prefill: int = 80_000
    state: Literal["memory", "sqlite", "redis"] = "memory"
    integrations: int = 1
    paused: int = 0
    has_receipts: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    def with_customers(self, number: int) -> Contestant:
        return replace(self, name=f"{self.name}-{number}", integrations=number)

    @property
    def namespace(self) -> str:
        return f"bench-{self.name}"

    @property
    def queue(self) -> str:
        return f"{self.namespace}.events"

    @property
    def retries(self) -> str:
        return f"{self.namespace}.retries"

    @property
    def parked(self) -> str:
        return f"{self.namespace}.parked"

    def prepare(self, arena: Arena) -> None:
        topology = build_topology(self.namespace, "native", 20)
        asyncio.run(_declare(arena.amqp_url(), topology))
        for queue in topology.queues:
            arena.purge(queue.name)
        for path in arena.folder.glob(f"{self._file(arena).name}*"):  # the file, and its journal
            path.unlink()
        folder = self._folder(arena)
        folder.mkdir(exist_ok=True)
        for number in range(self.integrations):
            document = _integration(arena, organization(number)) | {"limits": self.limits}
            if number < self.paused:
                document["paused"] = True
            (folder / f"{organization(number)}.json").write_text(json.dumps(document))

    def template(self, arena: Arena) -> bytes:
        return plain_template(self.queue)

    def start(self, arena: Arena, *, by_tap: bool = False) -> Measured:
        settings = {
            "AMQP_URL": arena.amqp_url(by_tap=by_tap),
            "NAMESPACE": self.namespace,
            "INTEGRATIONS": str(self._folder(arena)),
            "IMS_URL": f"{arena.stub_url}/ims/token/v3",
            "PLATFORM_URL": arena.stub_url,
            "ALLOWED_HOSTS": "127.0.0.1",
            "ALLOW_INSECURE": "true",
            "HTTP_PORT": "0",
            "RECEIPTS": "on" if self.has_receipts else "off",
        } | self.settings
        if self.state != "memory":
            in_file = f"sqlite://{self._file(arena)}"
            settings["STATE_URL"] = arena.redis_url if self.state == "redis" else in_file
            settings["ORDERING_SECRET"] = "of-the-benchmark"
        env = {f"CONSENT_WORKER_{name}": value for name, value in settings.items()}
        command = [str(Path(sys.executable).with_name("consent-worker")), "run"]
        return Measured(command, env, arena.cores.contestant)

    def _folder(self, arena: Arena) -> Path:
        return arena.folder / self.name

    def _file(self, arena: Arena) -> Path:
        return arena.folder / f"{self.name}.sqlite"


async def _declare(url: str, topology: Topology) -> None:
    async with await aio_pika.connect(url) as connection:
        await declare(connection, topology)


def _integration(arena: Arena, name: str) -> dict[str, Any]:
    return {
        "id": name,
        "organization_id": name,
        "type_id": "adobe-experience-cloud",
        "authentication": {"client_id": name, "client_secret": "bench", "api_key": "bench"},
        "properties": {
            "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
            "dataflow_endpoint": f"{arena.stub_url}/collection/{name}",
            "dataflow_id": "0f3c1a52-7d1b-4c53-9a7e-6f0c6e1d2b3a",
            "schema_id": "https://ns.adobe.com/acme/schemas/1",
            "dataset_id": "64f0c0ffee64f0c0ffee64f0",
            "user_identifier": ["email"],
        },
        "mappings": MAPPINGS,
        "upsert_mode": True,
        "payload_mode": "upsert",
    }


_CELERY: Final = (
    *("-A", "bench.peers.celery_app", "worker", "--pool", "threads", "--concurrency", "8"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
)
_TASKIQ: Final = (
    *("worker", "bench.peers.taskiq_app:broker", "--workers", "1", "--max-async-tasks", "300"),
    *("--no-parse", "--ack-type", "when_executed", "--log-level", "WARNING"),
)

FLOOR: Final = Peer(
    "floor", "(i) aio-pika, ack only", 60_000, "bench.peers.floor", calls_http=False
)
AIORMQ: Final = Peer(
    "aiormq", "aiormq, ack of 50 at once", 80_000, "bench.peers.aiormq_range", calls_http=False
)
BARE: Final = Peer("bare", "(ii) aio-pika + aiohttp", module="bench.peers.bare")
FRAMEWORKS: Final = (
    Peer("faststream", "(iii) FastStream", module="bench.peers.faststream_app"),
    Framework(
        "taskiq",
        "(iv) taskiq",
        module="taskiq",
        arguments=_TASKIQ,
        publisher="bench.peers.taskiq_app",
    ),
    Framework(
        "dramatiq",
        "(v) Dramatiq",
        module="dramatiq",
        arguments=("bench.peers.dramatiq_app", "--processes", "1", "--threads", "8"),
        publisher="bench.peers.dramatiq_app",
    ),
    Framework(
        "celery",
        "(vi) Celery",
        module="celery",
        arguments=_CELERY,
        publisher="bench.peers.celery_app",
    ),
)
OURS: Final = Ours()
OURS_RECEIPTS: Final = Ours("ours-receipts", "consent-worker, receipts", has_receipts=True)
OURS_REDIS: Final = Ours("ours-redis", "consent-worker, Redis", state="redis")
ALL: Final[tuple[Contestant, ...]] = (
    *(FLOOR, AIORMQ, BARE, *FRAMEWORKS),
    *(OURS, OURS_RECEIPTS, OURS_REDIS),
)
