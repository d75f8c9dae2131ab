"""Workers in virtual time with a broker that delays, and an Adobe that remembers when."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from pamqp.commands import Basic

from tests.unit.delivery.parts import Hand, Line, Store
from tests.unit.delivery.pipeline_parts import Adobe, Worker, body
from tests.unit.delivery.virtual_time import now
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.headers import DEAD_REASON, HANDED_OVER
from worker.broker.session import PARKED_PREFETCH
from worker.integrations.model import Integration

_PREFETCH = 2_000


class Seen(Adobe):
    """Keeps when it saw whom, and the most requests that were under way at once."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.under_way = self.most_under_way = 0

    async def send(
        self, target: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        for one in messages:
            self.times[one.record["personalEmail"]["address"]].append(now())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await super().send(target, messages)
        finally:
            self.under_way -= 1


class Delaying(Line):
    """A line to a broker that gives out again what is published, when its delay is over."""

    def __init__(self) -> None:
        super().__init__()
        self.hands: list[Hand] = []
        self.take: Callable[[bytes, dict[str, Any], str], None] = lambda *_: None
        self.letters: list[dict[str, Any]] = []
        self.handed_over = 0
        self.most_bytes: int | None = None
        """The broker takes no larger body."""

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
        headers = dict(properties.headers or {})
        loop = asyncio.get_running_loop()
        if self.most_bytes is not None and len(body) > self.most_bytes and too_large is not None:
            loop.call_soon(too_large, self.most_bytes)
            return
        loop.call_soon(then)
        self.handed_over += HANDED_OVER in headers
        if DEAD_REASON in headers:
            self.letters.append(headers)
            return
        words = routing_key.split(".")
        queue = "parked" if words[-1] == "parked" else "retries"
        loop.call_later(_seconds(words), self.take, body, headers, f"consent.{queue}")


def _seconds(words: list[str]) -> float:
    return sum(
        float(one[:-2]) / 1000 if one.endswith("ms") else float(one[:-1])
        for one in words
        if one[0].isdigit()
    )


class Fleet:
    """Workers with one broker, one store and one Adobe."""

    def __init__(self, workers: int = 1, adobe: Seen | None = None, **limits: int) -> None:
        shop = integration(limits={"profile_gap_seconds": 0} | limits)
        self.adobe = adobe or Seen()
        self.store = Store()
        self.line = Delaying()
        self.line.take = self._take
        self.workers = [Worker(self.adobe, self.store, shop=shop) for _ in range(workers)]
        self.hands: dict[tuple[int, str], Hand] = {}
        self._next = 0
        self._published = 0

    def _take(self, content: bytes, headers: dict[str, Any], queue: str) -> None:
        number = self._next % len(self.workers)
        self._next += 1
        hand = self.hands.get((number, queue))
        if hand is None:
            prefetch = PARKED_PREFETCH if queue == "consent.parked" else _PREFETCH
            hand = self.hands[number, queue] = Hand(queue, prefetch)
            hand.room = _PREFETCH
            hand.host = self.line
        self.workers[number].pipeline.handle(hand.message(content, headers))

    def publish(self, events: int, queue: str = "consent.events") -> None:
        for _ in range(events):
            self._published += 1
            event = body(f"e{self._published}", user=f"u{self._published}")
            self._take(event, {}, queue)

    def give(self, content: bytes, **headers: Any) -> None:
        """A message with these headers; a name with `_` has dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._take(content, named, "consent.retries" if named else "consent.events")

    def publish_newer(self) -> None:
        """A newer choice of the first user."""
        self._take(body("newer", ago=10, enabled=False, user="u1"), {}, "consent.events")

    def forget_all(self) -> None:
        """The store has lost its data."""
        self.store._users.clear()

    @property
    def told(self) -> list[str]:
        return [one for worker in self.workers for one in worker.told]
