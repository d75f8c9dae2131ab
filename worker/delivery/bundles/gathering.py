"""Parked events that made no attempt travel together, in bundles.

While an endpoint hangs, a set-up is at fault or an operator pauses a customer, all that comes for
it is parked, and comes back, and is parked again. A message each would cost the broker several
times what it costs to hand one out, and the worker more than a delivery: that is what the other
customers would pay. A bundle costs about what one message does. Each event in it keeps headers and
a life of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from worker.broker import headers as names
from worker.broker.delay import DelayKindTargets, due_at_ms
from worker.broker.message import Host, Incoming, Source
from worker.broker.republished import part_of_bundle, successor_of
from worker.broker.retry_state import RetryState
from worker.delivery.bundles.bundle_format import (
    AROUND_EVENT_BYTES,
    MOST_EVENTS,
    MOST_VALUES,
    pack,
)
from worker.delivery.outcome import Parked
from worker.fast_tuples import new_tuple
from worker.wire.frames import encode_content_header
from worker.wire.property_reader import Properties
from worker.wire.table_reader import number_of_values

_GATHER_SECONDS: Final = 0.2
"""Long enough that what one of many customers is sent fills bundles that need not be opened to grow
(see `returned_bundles`), short against the seconds for which anything is parked."""
_MOST_BYTES: Final = 256 * 1024
_SHARE_OF_BOUND: Final = 0.75
"""Of the broker's bound, where that is lower."""
_BEHIND_SHARE: Final = 4
"""So many messages after the first of a bundle that came by their intake, one part in four of what
that has room for, the bundle goes: until it is confirmed that first one keeps the acknowledgements
of all behind it from covering ranges, and an acknowledgement for each costs the broker as much
again as an event."""


class _Kind(NamedTuple):
    """What goes in one bundle: of one integration, or of one organization in doubt. How
    often its events were parked and replayed, the bundle tells of all of them (see `opening`).
    """

    host: Host
    integration_id: str
    reason: str
    organization_id: str
    served: tuple[str, ...]
    parks: int
    replays: int


class _Event(NamedTuple):
    """A parked event: what it is by itself, and as part of a bundle."""

    message: Incoming
    properties: Properties
    header: bytes
    settle: Callable[[], None]
    size: int
    values: int


@dataclass(slots=True)
class _Gathered:
    """Events of one kind that go together, for the delay and with the headers of the first.
    `taken_before` is what each intake had taken when the first of its events was parked.
    """

    kind: _Kind
    own: dict[str, Any]
    delay_seconds: float
    taken_before: dict[Source, int] = field(default_factory=dict)
    events: list[_Event] = field(default_factory=list)
    size: int = 0
    values: int = 0

    def add(self, event: _Event) -> None:
        self.events.append(event)
        self.size += event.size
        self.values += event.values

    def has_room(self, event: _Event, most_bytes: int) -> bool:
        """For one event more, where it may have so many bytes."""
        return self.size + event.size <= most_bytes and self.values + event.values <= MOST_VALUES

    def is_behind(self, source: Source) -> bool:
        """Whether many messages have come by an intake since one of its events was parked."""
        before = self.taken_before.setdefault(source, source.taken)
        return source.taken - before >= source.room // _BEHIND_SHARE

    def settle(self) -> None:
        for event in self.events:
            event.settle()

    def divided(self, most_bytes: int) -> list[_Gathered]:
        """The same events as several, none with more bytes than that, or with one event."""
        parts: list[_Gathered] = []
        for event in self.events:
            if not parts or not parts[-1].has_room(event, most_bytes):
                parts.append(_Gathered(self.kind, self.own, self.delay_seconds))
            parts[-1].add(event)
        return parts


class BundleGathering:
    """Publishes parked events, gathered in bundles. Each event is settled when the broker has
    confirmed it. `now_ms` is the time in ms since the epoch; `bound_bytes` the broker's bound for a
    message, once one was above that.
    """

    def __init__(self, delay: DelayKindTargets, now_ms: Callable[[], int]) -> None:
        self._delay = delay
        self._now_ms = now_ms
        self._gathered: dict[_Kind, _Gathered] = {}
        self.bound_bytes: int | None = None

    def park(
        self,
        message: Incoming,
        state: RetryState,
        own: dict[str, Any],
        outcome: Parked,
        settle: Callable[[], None],
    ) -> None:
        """Park a message with `own` headers, those of the `state` in which it is to come back,
        together with what else is parked for the same reason within a moment; `settle` is called
        when the broker has confirmed it.
        """
        kind = _Kind(
            message.host,
            state.integration_id or "",
            outcome.reason,
            outcome.organization_id,
            state.served,
            state.parks,
            state.replays,
        )
        properties = part_of_bundle(message.properties, own)
        header = encode_content_header(properties, len(message.body))
        size = len(header) + len(message.body) + AROUND_EVENT_BYTES
        values = number_of_values(properties.headers)
        event = new_tuple(_Event, (message, properties, header, settle, size, values))
        gathered = self._gathered.get(kind)
        if gathered is not None and not gathered.has_room(event, self._most_bytes):
            self._publish(gathered)
            gathered = None
        if gathered is None:
            gathered = _Gathered(kind, own, outcome.delay_seconds)
            self._gathered[kind] = gathered
            loop = asyncio.get_running_loop()
            loop.call_later(_GATHER_SECONDS, self._publish, gathered)
        gathered.add(event)
        if gathered.is_behind(message.source) or len(gathered.events) == MOST_EVENTS:
            self._publish(gathered)

    @property
    def _most_bytes(self) -> int:
        if self.bound_bytes is None:
            return _MOST_BYTES
        return min(_MOST_BYTES, int(self.bound_bytes * _SHARE_OF_BOUND))

    def _publish(self, gathered: _Gathered) -> None:
        if self._gathered.get(gathered.kind) is not gathered:
            return  # it was full before its time
        del self._gathered[gathered.kind]
        self._send(gathered)

    def _send(self, gathered: _Gathered) -> None:
        to = self._delay.target(gathered.delay_seconds, parked=True)
        due = {names.DUE_AT: due_at_ms(gathered.delay_seconds, self._now_ms())}
        first = gathered.events[0]
        count = len(gathered.events)
        too_large: Callable[[int], None] = partial(self._divide, gathered)
        if count == 1:
            # By itself, so that a person who looks at the queue can read it.
            properties, body = first.properties, first.message.body
            own = {names.CONTRACT: names.CONTRACT_VERSION} | due | to.headers
            properties.headers = (properties.headers or {}) | own
            too_large = first.message.refuse
        else:
            own = gathered.own | {names.BUNDLE: count} | due | to.headers
            for name in (names.REPEAT, names.RETURNED):
                own.pop(name, None)  # of one event in it, which says so itself
            properties = successor_of(Properties(), own)
            body = pack((one.header, one.message.body) for one in gathered.events)
        gathered.kind.host.publish(
            to.exchange,
            to.routing_key,
            properties,
            body,
            gathered.settle,
            mandatory=to.mandatory,
            too_large=too_large,
        )

    def _divide(self, gathered: _Gathered, bound_bytes: int) -> None:
        """The broker takes no message as large as this bundle."""
        self.bound_bytes = bound_bytes
        for part in gathered.divided(self._most_bytes):
            self._send(part)
