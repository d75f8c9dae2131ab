"""A console in the process of the test, over a real broker with dead letters, a ledger that reads
the stream, and a worker's receipts as the test writes them.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection
from pydantic import SecretStr

from devtools.made_receipts import MadeWorker, receipt, state
from devtools.waiting import wait_until
from tests.unit.console.console_parts import (
    OPERATOR,
    Answer,
    RunningConsole,
    lane,
    running_console,
    write_integration,
)
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.broker.receipts_stream import declare_stream, receipts_queue
from worker.broker.topology import build_topology, declare
from worker.evidence.act import Act
from worker.evidence.receipt import Receipt
from worker.ledger.acts import ActsWanted, ToldAct, told_acts
from worker.ledger.ledger_from_settings import build_ledger
from worker.ledger.schema import RECEIPTS

PERSON = "anna.meier@northwind.example"
ANNA = f"202611:{'a' * 32}"


class LetterStack:
    """`console` is signed in as an operator. Events are made by number."""

    def __init__(
        self, console: RunningConsole, ledger: LedgerFile, connection: AbstractConnection
    ) -> None:
        self.console = console
        self.ledger = ledger
        self.namespace = console.context.settings.namespace
        self._connection = connection
        self._worker = MadeWorker("worker-1:7")
        self._told = 0
        self.at_ms = int(time.time() * 1000) - 600_000

    def body(self, number: int) -> bytes:
        """An event, which is personal data."""
        event = {
            "id": f"ev-{number}",
            "organization_id": "northwind",
            "created_at": "2026-11-26T14:02:07.120Z",
            "user": {"id": "crm-0815-4711", "organization_user_id": PERSON},
            "consents": {"purposes": [{"id": "newsletter", "enabled": False}]},
        }
        return json.dumps(event).encode()

    async def bury(
        self, *numbers: int, body: bytes | None = None, like_workers: bool = False, **changes: Any
    ) -> None:
        """Dead letters of the shop, with bodies of their own or this one, and `changes` to their
        headers. Those `like_workers` have an id as workers make them.
        """
        channel = await self._connection.channel(publisher_confirms=True)
        for number in numbers:
            headers: Any = {
                "consent-integration": "shop",
                "consent-dead-reason": "retries-exhausted",
                "consent-error": "adobe-unavailable",
                "consent-http-status": 503,
                "consent-attempts": 6,
                "consent-dead-at": self.at_ms + number,
            } | {name.replace("_", "-"): value for name, value in changes.items()}
            message = aio_pika.Message(
                self.body(number) if body is None else body,
                delivery_mode=2,
                message_id=f"{number:032x}" if like_workers else f"letter-{number}",
                headers=headers,
            )
            await channel.default_exchange.publish(message, f"{self.namespace}.dead-letters")
        await channel.close()

    def fate(self, number: int, outcome: str = "dead", **changes: Any) -> Receipt:
        """A receipt of an event of the shop."""
        usual: dict[str, Any] = {
            "outcome": outcome,
            "reason": "retries-exhausted" if outcome == "dead" else "",
            "at": self.at_ms + number,
            "event_at": self.at_ms - 1_000,
            "choice": "withdrawn" if number % 2 else "given",
            "attributes": {"_shop.newsletter": number % 2 == 0},
            "user": ANNA if number < 2 else f"202611:{number:032x}",
        }
        return receipt(f"ev-{number}", **(usual | changes))

    async def tell(self, *receipts: Receipt) -> None:
        """A worker writes these, and the ledger has read them."""
        first = [] if self._told else [self._worker.begin()]
        await self._write([*first, self._worker.receipts(receipts)])
        self._told += len(receipts)
        await wait_until(lambda: self.ledger.count(RECEIPTS) >= self._told, "receipts are read")

    async def live(self, **said: Any) -> None:
        """The worker says that it does well, or what is `said`, now."""
        usual: dict[str, Any] = {"state": "well", "error": "", "words": "", "held": 0}
        lanes = [lane("shop", **usual | said)]
        await self._write([self._worker.state(state(lanes=lanes))])

    async def _write(self, bodies: Sequence[bytes]) -> None:
        channel = await self._connection.channel(publisher_confirms=True)
        for body in bodies:
            await channel.default_exchange.publish(
                aio_pika.Message(body, delivery_mode=2), f"{self.namespace}.receipts"
            )
        await channel.close()

    async def depth(self, queue: str) -> int:
        """Messages that wait in a queue."""
        channel = await self._connection.channel()
        declared = await channel.declare_queue(f"{self.namespace}.{queue}", passive=True)
        await channel.close()
        return declared.declaration_result.message_count or 0

    async def wait_for_depth(self, queue: str, count: int) -> None:
        """Until so many wait there."""

        async def there() -> bool:
            return await self.depth(queue) == count

        await wait_until(there, f"{count} in {queue}")

    async def delete_stream(self) -> None:
        """No act can be put on record any more."""
        channel = await self._connection.channel()
        await channel.queue_delete(f"{self.namespace}.receipts")
        await channel.close()

    # As a browser

    async def page(self, path: str) -> str:
        """A page that is there."""
        answer = await self.console.get(path)
        assert answer.status == 200, answer.text
        return answer.text

    async def post(self, path: str, form: dict[str, str] | None = None) -> Answer:
        """A form of a page."""
        csrf = await self.console.csrf()
        return await self.console.post(path, {"csrf": csrf} | (form or {}))

    async def ticket(self, path: str) -> str:
        """That of a page with a form."""
        found = re.search(r'name="ticket" value="([^"]+)"', await self.page(path))
        assert found is not None
        return found[1]

    async def begin(self, preview: str, **form: str) -> str:
        """Preview and confirm; the page of the act."""
        answer = await self.post(
            "/dead-letters/acts", {"ticket": await self.ticket(preview)} | form
        )
        assert answer.status == 303, answer.text
        return answer.way

    async def wait_for(self, path: str, words: str) -> str:
        """Until a page says so."""
        page = ""

        async def says() -> bool:
            nonlocal page
            page = await self.page(path)
            return words in page

        await wait_until(says, words)
        return page

    async def trail(self, count: int, is_right: Callable[[Sequence[ToldAct]], bool]) -> list[Act]:
        """The acts that the ledger has read, the latest first, as they ended if they did."""
        told: Sequence[ToldAct] = ()

        def there() -> bool:
            nonlocal told
            with self.ledger.transaction() as connection:
                told = told_acts(connection, ActsWanted()).acts
            return len(told) == count and is_right(told)

        await wait_until(there, f"{count} acts in the trail")
        return [one.ended or one.begun for one in told]


def are_over(told: Sequence[ToldAct]) -> bool:
    """Whether the end of each is on record."""
    return all(one.ended is not None for one in told)


@asynccontextmanager
async def letter_stack(
    amqp_url: str, namespace: str, home: Path, key: str = OPERATOR, *, by_way_of: str = ""
) -> AsyncIterator[LetterStack]:
    """With all queues declared, and the ledger reading. Console and ledger reach the broker
    `by_way_of` another URL, if there is one.
    """
    options: dict[str, Any] = {"amqp_url": SecretStr(by_way_of or amqp_url), "namespace": namespace}
    write_integration(home, "shop")
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(ledger_file(home))
        connection = await stack.enter_async_context(await aio_pika.connect(amqp_url))
        await declare(connection, build_topology(namespace, "native", 5))
        await declare_stream(connection, receipts_queue(namespace, 1, 10_000_000))
        console = await stack.enter_async_context(running_console(home, **options))
        reading = build_ledger(console.context.settings, ledger.database).reading
        task = asyncio.create_task(reading.run())
        try:
            await console.sign_in(key)
            yield LetterStack(console, ledger, connection)
        finally:
            reading.stop()
            with suppress(asyncio.CancelledError):
                await task
