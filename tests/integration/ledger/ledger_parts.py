"""A stream of receipts on the run's broker, a ledger beside it, and what is in both."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
from aio_pika.abc import AbstractConnection

from devtools import guard
from devtools.waiting import wait_until

_COMMAND = [sys.executable, "-m", "worker"]


class LedgerStack:
    """One namespace with a stream, and a ledger file below `path`."""

    def __init__(
        self, amqp_url: str, namespace: str, path: Path, connection: AbstractConnection
    ) -> None:
        self.namespace = namespace
        self.file = path / "ledger.sqlite"
        self._amqp_url = amqp_url
        self._path = path
        self._connection = connection
        self._logs = 0
        self.settings: dict[str, str] = {}
        self.ledgers: list[subprocess.Popen[bytes]] = []

    @property
    def queue(self) -> str:
        """The stream."""
        return f"{self.namespace}.receipts"

    @property
    def env(self) -> dict[str, str]:
        """Environment of ledgers and commands."""
        settings = {
            "AMQP_URL": self._amqp_url,
            "NAMESPACE": self.namespace,
            "LEDGER_URL": f"sqlite://{self.file}",
            "LOG_FORMAT": "json",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": "0",
        } | self.settings
        return guard.marked() | {f"CONSENT_WORKER_{name}": one for name, one in settings.items()}

    async def reconnect(self) -> None:
        """After the broker was restarted, as soon as it is there."""

        async def connected() -> bool:
            try:
                self._connection = await aio_pika.connect(self._amqp_url, timeout=5)
            except OSError:
                return False
            return True

        await wait_until(connected, "the broker is back", 60)

    async def close(self) -> None:
        """Let go of what was connected again."""
        await self._connection.close()

    async def declare(self, **arguments: Any) -> None:
        """The stream, small segments by default."""
        channel = await self._connection.channel()
        usual: dict[str, Any] = {
            "x-queue-type": "stream",
            "x-stream-max-segment-size-bytes": 1_000_000,
        }
        await channel.declare_queue(self.queue, durable=True, arguments=usual | arguments)
        await channel.close()

    async def delete(self) -> None:
        """The stream with all in it."""
        channel = await self._connection.channel()
        await channel.queue_delete(self.queue)
        await channel.close()

    async def publish(self, bodies: Sequence[bytes], **properties: Any) -> None:
        """Publish records, confirmed and in order."""
        channel = await self._connection.channel(publisher_confirms=True)
        await asyncio.gather(
            *(
                channel.default_exchange.publish(
                    aio_pika.Message(body, delivery_mode=2, **properties), self.queue
                )
                for body in bodies
            )
        )
        await channel.close()

    def start_ledger(self, *options: str, before: str = "") -> subprocess.Popen[bytes]:
        """`consent-worker ledger`; `before` is run by its shell first."""
        self._logs += 1
        log = (self._path / f"ledger-{self._logs}.log").open("wb")
        command = [*_COMMAND, "ledger", *options]
        if before:
            command = ["sh", "-c", f'{before}; exec "$@"', "sh", *command]
        started = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        self.ledgers.append(started)
        return started

    async def read_once(self, *options: str) -> tuple[int, str]:
        """`ledger --once`; exit code and all that it said."""
        code, out, err = await self.command("ledger", "--once", *options)
        return code, out + err

    async def command(self, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """Run a command; exit code, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            *arguments,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate(stdin)
        return process.returncode or 0, out.decode(), err.decode()

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of `path` at the HTTP port of the ledger that started last."""
        entries = [json.loads(line) for line in self.log_text().splitlines() if line[:1] == "{"]
        ports = [one["http_port"] for one in entries if one["event"] == "ledger.started"]
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{ports[-1]}{path}") as answer,
        ):
            return answer.status, await answer.text()

    async def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        _, out, err = await self.command("status", "--json")
        assert out, err
        document: dict[str, Any] = json.loads(out)
        return document

    def rows(self, query: str) -> list[Any]:
        """What the file has; nothing while it has no tables."""
        if not self.file.exists():
            return []
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=10) as file:
            try:
                return file.execute(query).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                return []

    @property
    def receipts(self) -> int:
        """How many receipts the file has."""
        found = self.rows("SELECT COUNT(*) FROM receipts")
        return int(found[0][0]) if found else 0

    @property
    def findings(self) -> dict[str, int]:
        """Messages by what is wrong with them."""
        return dict(self.rows("SELECT kind, SUM(messages) FROM findings GROUP BY kind"))

    def log_text(self) -> str:
        """What all ledgers have said."""
        return "".join(one.read_text() for one in sorted(self._path.glob("ledger-*.log")))

    async def wait_for_receipts(self, count: int) -> None:
        """Wait until the file has so many receipts."""
        await wait_until(lambda: self.receipts >= count, f"{count} receipts", 60)
        assert self.receipts == count

    def end(self) -> None:
        """End what was started."""
        for one in self.ledgers:
            if one.poll() is None:
                one.send_signal(signal.SIGKILL)
            one.wait(10)


@asynccontextmanager
async def ledger_stack(amqp_url: str, namespace: str, path: Path) -> AsyncIterator[LedgerStack]:
    """With its stream declared."""
    async with await aio_pika.connect(amqp_url) as connection:
        stack = LedgerStack(amqp_url, namespace, path, connection)
        await stack.declare()
        try:
            yield stack
        except Exception as error:
            error.add_note("\n".join(stack.log_text().splitlines()[-25:]))
            raise
        finally:
            stack.end()
            await stack.close()
