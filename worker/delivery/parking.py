"""Parked events that find no room in their lane travel together, in bundles.

While an endpoint hangs, all that comes for its customer is parked, and comes back, and is parked
again. A message each would cost the broker several times what it costs to hand one out, and the
worker more than a delivery: that is what the other customers would pay. A bundle costs about what
one message does. Each event in it keeps headers and a life of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pamqp.commands import Basic

from worker.broker import headers as names
from worker.broker.consumer import Incoming
from worker.broker.delay import DelayKindTargets
from worker.broker.frames import encode_content_header
from worker.broker.intake import Intake
from worker.broker.republish import successor_of
from worker.broker.session import Session
from worker.delivery.bundle import NotABundle, pack, unpack

_GATHER_SECONDS: Final = 0.05
MOST_EVENTS: Final = 25
"""In a bundle. What comes back is handled a bundle at a time, so it bounds how long others wait."""
_MOST_BYTES: Final = 256 * 1024
_LARGEST_BYTES: Final = 1024 * 1024
"""No bundle is larger."""
_TRICKLE_SECONDS: Final = 0.02
"""Between two bundles while fresh events come."""


@dataclass(slots=True)
class _Gathered:
    """Events of one integration that go together, for the delay of the first."""

    session: Session
    integration_id: str
    delay_seconds: float
    messages: list[Incoming] = field(default_factory=list)
    properties: list[Basic.Properties] = field(default_factory=list)
    packed: list[tuple[bytes, bytes]] = field(default_factory=list)
    size: int = 0

    def settle(self) -> None:
        for message in self.messages:
            message.settle()


class Parking:
    """Publishes what is parked. Each event is settled when the broker has confirmed it."""

    def __init__(self, delay: DelayKindTargets) -> None:
        self._delay = delay
        self._gathered: dict[tuple[Session, str], _Gathered] = {}

    def park(
        self, message: Incoming, integration_id: str, own: dict[str, Any], delay_seconds: float
    ) -> None:
        """Park a message with `own` headers for about `delay_seconds`, together with what else is
        parked for its integration within a moment.
        """
        key = (message.session, integration_id)
        properties = successor_of(message.properties, own)
        header = encode_content_header(properties, len(message.body))
        size = len(header) + len(message.body)
        gathered = self._gathered.get(key)
        if gathered is not None and gathered.size + size > _MOST_BYTES:
            self._publish(gathered)
            gathered = None
        if gathered is None:
            gathered = _Gathered(message.session, integration_id, delay_seconds)
            self._gathered[key] = gathered
            loop = asyncio.get_running_loop()
            loop.call_later(_GATHER_SECONDS, self._publish, gathered)
        gathered.messages.append(message)
        gathered.properties.append(properties)
        gathered.packed.append((header, message.body))
        gathered.size += size
        if len(gathered.messages) == MOST_EVENTS:
            self._publish(gathered)

    def _publish(self, gathered: _Gathered) -> None:
        key = (gathered.session, gathered.integration_id)
        if self._gathered.get(key) is not gathered:
            return  # it was full before its time
        del self._gathered[key]
        to = self._delay.target(gathered.delay_seconds)
        count = len(gathered.messages)
        if count == 1:
            # By itself, so that a person who looks at the queue can read it.
            properties, body = gathered.properties[0], gathered.messages[0].body
            properties.headers = (properties.headers or {}) | to.headers
        else:
            own: dict[str, Any] = {names.INTEGRATION: gathered.integration_id, names.BUNDLE: count}
            properties = successor_of(Basic.Properties(), own | to.headers)
            body = pack(gathered.packed)
        gathered.session.publish(
            to.exchange,
            to.routing_key,
            properties,
            body,
            gathered.settle,
            mandatory=to.mandatory,
        )


class _Bundle:
    """A bundle that came back: settled when all of its events are."""

    def __init__(self, message: Incoming, count: int) -> None:
        self.intake: Intake = message.intake
        self._message = message
        message.open_deliveries = count

    def settle(self, _: int) -> None:
        self._message.settle()


class Opening:
    """Opens bundles that come back, one after the other: while fresh events come, these go first.

    `handle` gets one when its turn has come.
    """

    def __init__(self, handle: Callable[[Incoming], None]) -> None:
        self._handle = handle
        self._bundles: deque[Incoming] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, message: Incoming) -> None:
        """A bundle has come."""
        self._bundles.append(message)
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        seconds = _TRICKLE_SECONDS if self._bundles[0].intake.gives_way() else 0
        self._timer = asyncio.get_running_loop().call_later(seconds, self._next)

    def _next(self) -> None:
        self._timer = None
        message = self._bundles.popleft()
        if message.is_ours:  # or the broker gives it out again
            self._handle(message)
        if self._bundles:
            self._wait()


def events_of(message: Incoming, returns: int) -> list[Incoming]:
    """The events of a bundle that was returned so often, as messages; raises `NotABundle`."""
    if len(message.body) > _LARGEST_BYTES:
        raise NotABundle("larger than any bundle")
    events = unpack(message.body)
    bundle = _Bundle(message, len(events))
    messages = [
        Incoming(number, content_header, body, bundle)
        for number, (content_header, body) in enumerate(events)
    ]
    if returns:
        for one in messages:
            one.headers = {**one.headers, names.RETURNS: returns}
    return messages
