"""`make console`: broker, emulator, worker, traffic with staged faults and the console."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

from rich.console import Console

from devtools.broker import running_broker
from devtools.interrupt import to_its_end
from devtools.native_rabbitmq import BrokerUnavailable
from devtools.stack import Stack, event
from devtools.waiting import wait_until

KEYS: Final = {
    "viewer": "local-viewer-key-of-32-characters",
    "operator": "local-operator-key-of-32-characters",
    "revealer": "local-revealer-key-of-32-characters",
}
CUSTOMERS: Final = {
    "shop": "northwind",
    "press": "org-press",
    "travel": "org-travel",
    "museum": "org-museum",
}
"""With their organizations: `examples/event.json` is of the shop's."""
_NEW_SECRET: Final = "another one"
_BUDGET_SECONDS: Final = 20
"""Of retries, so that an outage of half a minute ends in dead letters."""
_OUTAGE_SECONDS: Final = 40.0
_REST_SECONDS: Final = 80.0
_EVENTS_AT_ONCE: Final = 8
_PAUSE_SECONDS: Final = 0.5

console = Console(highlight=False)


class LiveConsole:
    """A stack whose console runs in a process of its own; `url` is known once it is started."""

    def __init__(self, amqp_url: str, namespace: str, port: int = 0, **settings: Any) -> None:
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.stack = Stack(amqp_url, namespace, RECEIPTS="on", **settings)
        self.url = ""

    async def __aenter__(self) -> Self:
        stack = await self.stack.__aenter__()
        stack.override("LEDGER_URL", f"sqlite://{stack.path}/ledger.sqlite")
        stack.override("STATE_URL", f"sqlite://{stack.path}/state.sqlite")
        stack.override("CONSOLE_PORT", self._port)
        for role, key in KEYS.items():
            stack.override(f"CONSOLE_{role.upper()}_KEY", key)
        return self

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._stop()
        finally:
            await self.stack.__aexit__(*error)

    async def start(self) -> None:
        """Start the console, and wait until it listens."""
        log = self.stack.path / "console.log"
        self._process = _started(self.stack, log)
        await wait_until(lambda: b"console.started" in log.read_bytes(), "the console", 30)
        for line in log.read_text().splitlines():
            if '"console.started"' in line:
                self.url = json.loads(line)["url"].rstrip("/")

    @property
    def log(self) -> str:
        """What the console has logged."""
        return (self.stack.path / "console.log").read_text()

    async def _stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(self._process.wait, 10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait, 10)

    def refuse_secret(self, integration: str) -> None:
        """From now on Adobe knows another secret of that customer."""
        self.stack.sandbox.state.credentials[f"client-{integration}"] = [_NEW_SECRET]

    def mend_secret(self, integration: str) -> None:
        """The customer's secret is right again."""
        self.stack.sandbox.state.credentials.pop(f"client-{integration}", None)


def _started(stack: Stack, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "worker", "console"]
    with log.open("wb") as output:
        return subprocess.Popen(command, env=stack.env, stdout=output, stderr=output)


async def show(broker_url: str) -> None:
    """Until Ctrl-C."""
    settings = {"RETRY_BUDGET_SECONDS": _BUDGET_SECONDS, "BLOCK_PROBE_SECONDS": 5}
    async with LiveConsole(broker_url, "local", 8090, **settings) as live:
        for name, organization in CUSTOMERS.items():
            live.stack.add_integration(name, organization_id=organization)
        live.refuse_secret("travel")
        console.print("Starting the emulator of Adobe, a worker and the console")
        live.stack.start_worker()
        await live.stack.wait_until_consuming()
        await live.start()
        console.print(f"\nOpen [bold]{live.url}[/], and sign in by one of these keys:")
        for role, key in KEYS.items():
            console.print(f"   {role:9} {key}")
        console.print(
            "Adobe is out for shop now and then, and refuses travel's secret: it knows another one "
            f'now, [bold]"{_NEW_SECRET}"[/]. To mend that, let client_secret be these two words in '
            f"{live.stack.integrations / 'travel.json'}. examples/event.json is an event of shop, "
            "to be pasted at Explain. Ctrl-C ends."
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_publish(live.stack))
            tasks.create_task(_stage_outages(live.stack))


async def _publish(stack: Stack) -> None:
    chance = random.Random()
    while True:
        bodies = []
        for _ in range(_EVENTS_AT_ONCE):
            customer = chance.choice([*CUSTOMERS])
            user = f"person-{chance.randrange(500)}@{customer}.example"
            said = event(CUSTOMERS[customer], user, enabled=chance.random() < 0.8)
            bodies.append(json.dumps(said).encode())
        bodies += [b"not json"] * (chance.random() < 0.02)
        await stack.publish(bodies)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _stage_outages(stack: Stack) -> None:
    while True:
        await asyncio.sleep(_REST_SECONDS)
        stack.sandbox.state.faults.inject(
            target="collection", key="shop", kind="status", status=503, seconds=_OUTAGE_SECONDS
        )
        await asyncio.sleep(_OUTAGE_SECONDS)


def _show() -> int:
    console.print("Starting a private RabbitMQ; this takes a few seconds")
    try:
        with running_broker() as broker:
            asyncio.run(show(broker.url))
    except (BrokerUnavailable, AssertionError) as error:
        console.print(f"[red]failed:[/] {error}", soft_wrap=True)
        return 1
    return 0


def main() -> int:
    """1 with a sentence when something is missing; 130 and 143 for Ctrl-C and SIGTERM."""
    return to_its_end(_show, console.print)


if __name__ == "__main__":
    sys.exit(main())
