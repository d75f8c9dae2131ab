"""A door of this process before a real RabbitMQ, and what is on the queue behind it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
import aiohttp
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr

from devtools.stack import event
from devtools.waiting import wait_until
from worker.door.answers import TOKEN_PATH, WEBHOOK_PATH
from worker.door.process import Door
from worker.settings import WorkerSettings

CLIENT_ID: Final = "didomi"
CLIENT_SECRET: Final = "client-secret-of-the-tests-0123456789"
HEADER_NAME: Final = "X-Door"
HEADER_SECRET: Final = "header-secret-of-the-tests-0123456789"
KEY: Final = {HEADER_NAME: HEADER_SECRET}


def webhook(event_id: str = "", organization: str = "org-shop", kind: str = "event.created") -> Any:
    """What Didomi posts."""
    entity = event(organization, "lena@a.example", event_id=event_id or str(uuid.uuid4()))
    return {"type": kind, "regulation": "gdpr", "parameters": {"entity": entity}}


def webhook_bytes(event_id: str = "", **changes: Any) -> bytes:
    """The same as it travels."""
    return json.dumps(webhook(event_id, **changes)).encode()


class RunningDoor:
    """A door, and a client of it."""

    def __init__(self, door: Door, http: aiohttp.ClientSession) -> None:
        self.door = door
        self._http = http

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}"

    async def post(
        self, body: Any, headers: dict[str, str] | None = None, path: str = WEBHOOK_PATH
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, document and headers of the answer; with the secret header if not told others."""
        async with self._http.post(
            self.url + path, data=body, headers=KEY if headers is None else headers
        ) as reply:
            return reply.status, json.loads(await reply.read()), dict(reply.headers)

    async def code(self, body: Any, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and code of the answer."""
        status, document, _ = await self.post(body, headers)
        return status, document.get("error") or document["status"]

    async def token(self, **changes: str) -> tuple[int, dict[str, Any]]:
        """What the endpoint of tokens answers."""
        fields = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        } | changes
        async with self._http.post(self.url + TOKEN_PATH, data=fields) as reply:
            return reply.status, await reply.json()

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body at the port of health and metrics."""
        url = f"http://127.0.0.1:{self.door.http_port}{path}"
        async with self._http.get(url) as reply:
            return reply.status, await reply.text()

    async def is_ready(self) -> bool:
        """Whether it says that it can do its job."""
        return (await self.get("/readyz"))[0] == 200

    async def is_unready(self) -> bool:
        """Whether it says that it can't."""
        return (await self.get("/readyz"))[0] == 503


@asynccontextmanager
async def running_door(
    amqp_url: str, namespace: str, *, waits: bool = True, **changes: Any
) -> AsyncIterator[RunningDoor]:
    """A door with `changes` to its settings; where it `waits`, once it has its broker."""
    usual: dict[str, Any] = {
        "amqp_url": SecretStr(amqp_url),
        "namespace": namespace,
        "http_host": "127.0.0.1",
        "http_port": 0,
        "door_host": "127.0.0.1",
        "door_port": 0,
        "door_client_id": CLIENT_ID,
        "door_client_secret": SecretStr(CLIENT_SECRET),
        "door_header_name": HEADER_NAME,
        "door_header_secret": SecretStr(HEADER_SECRET),
    }
    door = Door(WorkerSettings(**usual | changes))
    running = asyncio.create_task(door.run())
    no_limit = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=no_limit) as http:
        one = RunningDoor(door, http)
        try:
            await wait_until(lambda: door.port or running.done(), "the door listens")
            if waits:
                await wait_until(one.is_ready, "the door has its broker")
            yield one
        finally:
            door.stop()
            await running


async def bodies_on_the_queue(
    amqp_url: str, namespace: str, queue_name: str = "events"
) -> list[bytes]:
    """All bodies that are on a queue of fresh events now; takes them off."""
    return [one.body for one in await messages_on_the_queue(amqp_url, namespace, queue_name)]


async def messages_on_the_queue(
    amqp_url: str, namespace: str, queue_name: str = "events"
) -> list[AbstractIncomingMessage]:
    """The same as whole messages."""
    found: list[AbstractIncomingMessage] = []
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"{namespace}.{queue_name}", passive=True)
        count = queue.declaration_result.message_count or 0

        async def take(message: AbstractIncomingMessage) -> None:
            found.append(message)

        await queue.consume(take, no_ack=True)
        await wait_until(lambda: len(found) == count, f"all of {count} messages")
    return found


def ids_in(bodies: Sequence[bytes]) -> set[str]:
    """The ids of their events."""
    return {json.loads(one)["parameters"]["entity"]["id"] for one in bodies}
