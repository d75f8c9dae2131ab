"""What the parts of `worker.delivery` need around them: a line to the broker, a store, a sender."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.unit.delivery.virtual_time import now
from tests.unit.examples import NOW_MS, event_document
from worker.broker.message import Incoming, Source
from worker.broker.retry_state import FRESH, RetryState
from worker.delivery.delivery import Delivery
from worker.events import open_envelope
from worker.integrations.model import Integration
from worker.ordering.memory_store import MemoryStore
from worker.ordering.store_protocol import (
    Claim,
    Contended,
    Granted,
    Settlement,
    StoreUnavailable,
    Timing,
)
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver

GATHERED_SECONDS = 0.25
"""What is parked gathers for a moment before it is published."""


@dataclass
class Published:
    exchange: str
    routing_key: str
    properties: Basic.Properties
    body: bytes
    mandatory: bool

    @property
    def headers(self) -> dict[str, Any]:
        return dict(self.properties.headers or {})


class Line:
    """Is a `Host`, as a session: keeps what is published, and confirms it."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.lost = asyncio.Event()

    def publish(
        self,
        exchange: str,
        routing_key: str,
        properties: Basic.Properties,
        body: bytes,
        then: Callable[[], None],
        *,
        mandatory: bool = True,
        too_large: Callable[[int], None] | None = None,
    ) -> None:
        if not self.lost.is_set():
            self.published.append(Published(exchange, routing_key, properties, body, mandatory))
            asyncio.get_running_loop().call_soon(then)


class Hand:
    """`Source` and `Holder` in one; knows what is in hand, and what was acknowledged."""

    def __init__(self, queue: str = "consent.events", prefetch: int = 1000) -> None:
        self.host = Line()
        self.queue = queue
        self.prefetch = self.room = prefetch
        self.in_hand = 0
        self.is_second = False
        self.acknowledged: list[int] = []
        self.refused: list[int] = []
        self.receipted = 0
        self._given = 0

    @property
    def source(self) -> Source:
        return self

    @property
    def events_each(self) -> int:
        return max(1, self.room // self.prefetch)

    @property
    def taken(self) -> int:
        return self._given

    @property
    def free(self) -> int:
        return (self.prefetch - self.in_hand) * self.events_each

    def gives_way(self) -> bool:
        return self.is_second

    def place_of(self, tag: int) -> object:
        return tag

    def message(
        self, body: bytes = b"", headers: dict[str, Any] | None = None, **properties: Any
    ) -> Incoming:
        """A message that the broker has just delivered."""
        self._given += 1
        self.in_hand += 1
        header = ContentHeader(0, len(body), Basic.Properties(headers=headers, **properties))
        return Incoming(self._given, header.marshal(), body, self)

    def acknowledge(self, tag: int) -> None:
        assert tag not in self.acknowledged, "acknowledged twice"
        self.acknowledged.append(tag)
        self.in_hand -= 1

    def refuse(self, tag: int) -> None:
        self.refused.append(tag)
        self.in_hand -= 1

    def note_record(self) -> None:
        self.receipted += 1


def event(
    hand: Hand,
    target: Integration,
    user: str = "lena",
    *,
    minute: int = 0,
    is_suspect: bool = False,
    state: RetryState = FRESH,
    headers: dict[str, Any] | None = None,
    **purposes: bool,
) -> Delivery:
    """An event of `user` that was made in a `minute` and says `purposes` (by default: news)."""
    number = hand._given + 1
    document = event_document(
        id=f"ev-{number}",
        created_at=f"2026-03-02T08:{minute:02}:00Z",
        user={"id": "device", "organization_user_id": f"{user}@northwind.example"},
        consents={
            "purposes": [
                {"id": one, "enabled": enabled}
                for one, enabled in (purposes or {"news": True}).items()
            ]
        },
    )
    message = hand.message(orjson.dumps(document), headers)
    choice = decide(target, open_envelope(message.body), NOW_MS)
    assert isinstance(choice, Deliver)
    return Delivery(message, state, target, choice, user, is_suspect)


class Store(MemoryStore):
    """The real one on the loop's clock; what is in `away` is away as many times as it says."""

    def __init__(self, lease_seconds: float = 60.0) -> None:
        super().__init__(Timing(lease_seconds), clock=now)
        self.away = {"begin": 0, "settle": 0, "ping": 0}
        self.settlements: list[Settlement] = []
        self.pings = 0
        self.is_closed = False

    def _answer(self, call: str) -> None:
        if self.away[call]:
            self.away[call] -= 1
            raise StoreUnavailable(f"{call} is away")

    async def begin(self, state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        self._answer("begin")
        return await super().begin(state_id, claims)

    async def settle(
        self, state_id: str, settlements: Sequence[Settlement], gap_seconds: float
    ) -> None:
        self._answer("settle")
        self.settlements += settlements
        await super().settle(state_id, settlements, gap_seconds)

    async def ping(self, part: str = "") -> None:
        self.pings += 1
        self._answer("ping")

    async def close(self) -> None:
        self.is_closed = True
