"""A local stack for tests and the demo: emulator in this process, each worker in its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aio_pika
import aiohttp

from devtools import guard
from devtools.waiting import wait_until
from worker.sandbox.app import Sandbox

_COMMAND = [sys.executable, "-m", "worker"]


def event(
    organization: str,
    user: str,
    *,
    enabled: bool | None = True,
    event_id: str = "",
    **changes: Any,
) -> dict[str, Any]:
    """A consent event as the Consents API returns it, made now."""
    document: dict[str, Any] = {
        "id": event_id or uuid.uuid4().hex,
        "organization_id": organization,
        "created_at": datetime.now(UTC).isoformat(),
        "user": {"id": uuid.uuid4().hex, "organization_user_id": user},
        "consents": {"purposes": [{"id": "newsletter", "enabled": enabled}]},
    }
    return document | changes


class Stack:
    """One namespace on a broker, one emulator, any number of workers."""

    def __init__(self, amqp_url: str, namespace: str, **settings: Any) -> None:
        self.amqp_url = amqp_url
        self.namespace = namespace
        self.sandbox = Sandbox()
        self.workers: list[subprocess.Popen[bytes]] = []
        self.path = guard.directory("consent-stack-")
        self.integrations = self.path / "integrations"
        self.integrations.mkdir()
        self._settings = settings
        self._logs = 0

    @property
    def env(self) -> dict[str, str]:
        """Environment of workers and commands of this stack."""
        settings = {
            "AMQP_URL": self.amqp_url,
            "NAMESPACE": self.namespace,
            "INTEGRATIONS": str(self.integrations),
            "IMS_URL": f"{self.sandbox.url}/ims/token/v3",
            "PLATFORM_URL": self.sandbox.url,
            "ALLOWED_HOSTS": "127.0.0.1",
            "ALLOW_INSECURE": "true",
            "ORDERING_SECRET": "of-this-stack",
            "RECEIPTS": "off",  # who tests them turns them on
            "HTTP_PORT": "0",
            "HTTP_HOST": "127.0.0.1",
            "LOG_FORMAT": "json",
            "RELOAD_SECONDS": "0.2",
            "WATCH_SECONDS": "1",
        } | self._settings
        return guard.marked() | {f"CONSENT_WORKER_{k}": str(v) for k, v in settings.items()}

    def add_integration(self, integration_id: str, **changes: Any) -> None:
        """An integration of the organization `org-<id>`, upserting by e-mail; `changes` to it."""
        properties = changes.pop("properties", {})
        document = {
            "id": integration_id,
            "organization_id": f"org-{integration_id}",
            "type_id": "adobe-experience-cloud",
            "authentication": {
                "client_id": f"client-{integration_id}",
                "client_secret": "planted-client-secret",
                "api_key": "planted-api-key",
            },
            "properties": {
                "organization_id": "ABC@AdobeOrg",
                "dataflow_endpoint": f"{self.sandbox.url}/collection/{integration_id}",
                "dataflow_id": f"flow-{integration_id}",
                "schema_id": "https://ns.adobe.com/acme/schemas/1",
                "dataset_id": f"dataset-{integration_id}",
                "user_identifier": ["email"],
            }
            | properties,
            "mappings": [
                {"id": "_acme.newsletter", "value": "consents_purposes_newsletter_enabled"}
            ],
            "upsert_mode": True,
            "payload_mode": "upsert",
        } | changes
        path = self.integrations / f"{integration_id}.json"
        path.write_text(json.dumps(document))

    def override(self, name: str, value: Any) -> None:
        """Change a setting for what is started from now on."""
        self._settings[name] = value

    def start_worker(
        self,
        most_files: int | None = None,
        module: str = "worker",
        directory: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """One more worker, which may open `most_files`; its log goes to a file below `path`.
        `module` is run in its place, and that of `directory` in place of this version's.
        """
        self._logs += 1
        log = (self.path / f"worker-{self._logs}.log").open("wb")
        command = [sys.executable, "-m", module, "run"]
        if most_files is not None:
            limited = f'ulimit -n {most_files} && exec "$@"'  # the soft limit and the hard one
            command = ["sh", "-c", limited, "sh", *command]
        worker = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, cwd=directory)
        self.workers.append(worker)
        return worker

    def log_entries(self) -> list[dict[str, Any]]:
        """What all workers have logged, line by line; a half-written line is left out."""
        return [entry for entries in self.worker_logs() for entry in entries]

    def worker_logs(self) -> list[list[dict[str, Any]]]:
        """What each worker process has logged, the first to the last; see `log_entries`."""
        return [
            [
                json.loads(line)
                for line in file.read_text().splitlines()
                if line.startswith("{") and line.endswith("}")
            ]
            for file in self._log_files()
        ]

    def start_ledger(self) -> subprocess.Popen[bytes]:
        """`consent-worker ledger`, which ends with the workers; a file below `path` has its log."""
        log = (self.path / f"ledger-{len(self.workers)}.log").open("wb")
        ledger = subprocess.Popen([*_COMMAND, "ledger"], env=self.env, stdout=log, stderr=log)
        self.workers.append(ledger)
        return ledger

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of `path` at the HTTP port of the worker that started last."""
        ports = [one["http_port"] for one in self.log_entries() if one["event"] == "worker.started"]
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{ports[-1]}{path}") as answer,
        ):
            return answer.status, await answer.text()

    async def is_ready(self) -> bool:
        """Whether the worker that started last says that it is ready."""
        return (await self.get("/readyz"))[0] == 200

    async def is_unready(self) -> bool:
        """Whether it says that it is not."""
        return (await self.get("/readyz"))[0] == 503

    def log_text(self) -> str:
        """Everything that all workers have logged."""
        return "".join(one.read_text() for one in self._log_files())

    def _log_files(self) -> list[Path]:
        """The first worker's to the last one's."""
        return sorted(self.path.glob("worker-*.log"), key=lambda one: (len(one.name), one.name))

    async def command(
        self, *arguments: str, stdin: bytes = b"", directory: Path | None = None
    ) -> tuple[int, str, str]:
        """Run a command, of the version in `directory` if given; exit code, standard output,
        standard error.
        """
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            *arguments,
            env=self.env,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate(stdin)
        return process.returncode or 0, out.decode(), err.decode()

    async def publish(self, bodies: list[bytes], queue: str = "events", **properties: Any) -> None:
        """Publish as a foreign producer does: to a queue, by the default exchange."""
        connection = await aio_pika.connect(self.amqp_url)
        async with connection:
            channel = await connection.channel(publisher_confirms=True)
            await asyncio.gather(
                *(
                    channel.default_exchange.publish(
                        aio_pika.Message(body, delivery_mode=2, **properties),
                        f"{self.namespace}.{queue}",
                    )
                    for body in bodies
                )
            )

    async def depth(self, queue: str) -> int:
        """Messages ready in a queue of this namespace; -1 while it can't be asked."""
        try:
            connection = await aio_pika.connect(self.amqp_url, timeout=3)
            async with connection:
                channel = await connection.channel()
                declared = await channel.declare_queue(f"{self.namespace}.{queue}", passive=True)
                return declared.declaration_result.message_count or 0
        except Exception:
            return -1

    async def wait_for_depth(self, queue: str, count: int, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Wait until a queue holds `count` messages."""

        async def there() -> bool:
            return await self.depth(queue) == count

        await wait_until(there, f"{count} messages in {queue}", timeout)

    async def wait_until_consuming(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Wait until a worker of this stack has connected."""
        await wait_until(lambda: "broker.connected" in self.log_text(), "a worker", timeout)

    def delivered(self, integration_id: str) -> set[str]:
        """Identities whose record the emulator has for this integration."""
        dataset = f"dataset-{integration_id}"
        return {i for (d, i) in self.sandbox.state.profiles if d == dataset}

    def messages(self, integration_id: str) -> list[tuple[int | None, dict[str, Any]]]:
        """Every message that came to this integration's inlet, alone or in a batch, in order, with
        the status that its request was answered with.
        """
        return [
            (request["status"], message)
            for request in self.sandbox.state.requests
            if request["inlet"] == integration_id
            for message in request["body"].get("messages", [request["body"]])
        ]

    async def __aenter__(self) -> Self:
        await self.sandbox.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            print("The workers' log ends with:", *self.log_text().splitlines()[-25:], sep="\n")
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        self.sandbox.state.faults.clear()
        for worker in self.workers:
            try:
                await asyncio.to_thread(worker.wait, 10)
            except subprocess.TimeoutExpired:
                worker.kill()
                await asyncio.to_thread(worker.wait, 10)
        await self.sandbox.stop()
        guard.remove("directory", str(self.path))
