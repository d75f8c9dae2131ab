"""Where and with which routing key a delayed message is published, for both kinds of delay.

`native` is a chain of TTL queues, one level per power of two of `UNIT_MS`. The routing key names
the levels that a message passes, the longest first, such as `4s.1s` for five seconds. So any delay
is a sum of fixed TTLs, and no queue has messages of unequal TTL, which would block one another
(RabbitMQ documentation, "Time-To-Live": expired messages leave a quorum queue only at its head).
The sum is NServiceBus's idea; there a key of bits takes a message through the exchange of every
level, held or not, which costs the broker more than twice as much (docs/decisions, 13).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol

UNIT_MS: Final = 125
LEVELS: Final = 12
PARKED_WORD: Final = "parked"
"""Ends the routing key of a message that is parked: it leaves the chain for a queue of its own."""
MAX_DELAY_MS: Final = (2**LEVELS - 1) * UNIT_MS
"""Longest delay of the chain: 511.875 s."""


def due_at_ms(delay_seconds: float, now_ms: int) -> int:
    """When a message that is delayed from now on is to come back, in ms since the epoch."""
    return now_ms + min(round(delay_seconds * 1000), MAX_DELAY_MS)


@dataclass(frozen=True, slots=True)
class DelayTarget:
    """Where to publish a delayed message. `mandatory` says whether the broker can tell an
    unroutable publish.
    """

    exchange: str
    routing_key: str
    headers: dict[str, Any]
    mandatory: bool


class DelayKindTargets(Protocol):
    """One kind of delayed exchange."""

    def target(self, delay_seconds: float, *, parked: bool = False) -> DelayTarget:
        """Where to publish a message that comes back after `delay_seconds`, due or `parked`."""
        ...


def level_ttl_ms(level: int) -> int:
    """How long level `level` of the delay (0 is the shortest) holds a message."""
    return int(2**level * UNIT_MS)


def level_word(level: int) -> str:
    """What a level of the delay is called in routing keys, such as `16s`."""
    ttl = level_ttl_ms(level)
    return f"{ttl // 1000}s" if ttl >= 1000 else f"{ttl}ms"


def entry(namespace: str) -> str:
    """Name of the exchange by which a message enters the chain of the delay."""
    return f"{namespace}.delay"


def level_name(namespace: str, level: int) -> str:
    """Name of the queue of a level, and of the exchange it leads into: `consent.delay.16s`."""
    return f"{entry(namespace)}.{level_word(level)}"


def to_units(delay_seconds: float) -> int:
    """`delay_seconds` in units of the delay's chain, rounded, at least one and at most the whole
    chain.

    Delays of 16 s and more are rounded to whole seconds: each bit that is set is one more queue
    to pass through, and nobody sees the difference.
    """
    per_second = 1000 // UNIT_MS
    if delay_seconds >= 16:
        units = round(delay_seconds) * per_second
    else:
        units = round(delay_seconds * per_second)
    return max(1, min(units, 2**LEVELS - 1))


def by_few_levels(delay_seconds: float) -> float:
    """The next longer delay that passes two queues of the chain at most: by half more at most.

    A queue to pass through costs the broker about as much as a publish does.
    """
    units = math.ceil(delay_seconds * 1000 / UNIT_MS)
    step = max(1, 1 << (units.bit_length() - 2)) if units > 1 else 1
    return -(-units // step) * step * UNIT_MS / 1000


def by_one_level(delay_seconds: float) -> float:
    """The delay of the shortest level that is as long as `delay_seconds`, or of the longest."""
    units = max(1, math.ceil(delay_seconds * 1000 / UNIT_MS))
    level = min((units - 1).bit_length(), LEVELS - 1)
    return level_ttl_ms(level) / 1000


@dataclass(frozen=True, slots=True)
class NativeDelay:
    """The chain of delay exchanges and TTL quorum queues."""

    namespace: str

    def target(self, delay_seconds: float, *, parked: bool = False) -> DelayTarget:
        path = _path(to_units(delay_seconds))
        key = f"{path}.{PARKED_WORD}" if parked else path
        return DelayTarget(entry(self.namespace), key, {}, True)


@cache
def _path(units: int) -> str:
    held = [level for level in reversed(range(LEVELS)) if units >> level & 1]
    return ".".join(level_word(level) for level in held)


@dataclass(frozen=True, slots=True)
class PluginDelay:
    """The delay by an exchange of type `x-delayed-message`.

    Its publishes can't be `mandatory`: a delayed message routes to no queue yet, so the broker
    returns every one of them (README of rabbitmq-delayed-message-exchange, issues #7 and #136).
    """

    namespace: str

    def target(self, delay_seconds: float, *, parked: bool = False) -> DelayTarget:
        delay_ms = max(1, min(round(delay_seconds * 1000), MAX_DELAY_MS))
        exchange = plugin_exchange(self.namespace, parked=parked)
        return DelayTarget(exchange, "", {"x-delay": delay_ms}, False)


def plugin_exchange(namespace: str, *, parked: bool) -> str:
    """Name of the delayed-message plugin's exchange for retries, or for what is parked."""
    return f"{namespace}.delayed-parked" if parked else f"{namespace}.delayed"
