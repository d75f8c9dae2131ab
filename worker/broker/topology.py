"""The exchanges and queues: one description, declared idempotently and shown by the command line.

Why each argument is there:
- quorum queues with a delivery limit, so that a message which takes its worker down every time
  ends in the dead letters (RabbitMQ documentation, "Quorum Queues: Poison Message Handling");
- at-least-once dead lettering needs all three of strategy, `reject-publish` and a dead-letter
  exchange, and silently is at-most-once when one is missing (same page, "Dead Lettering");
- an alternate exchange on everything a TTL hop leads into: an unroutable message would stay in its
  source queue for ever and after 32 of them nothing would pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection

from worker.broker.declare_refusals import refusals_named
from worker.broker.delay import (
    LEVELS,
    PARKED_WORD,
    entry,
    level_name,
    level_ttl_ms,
    level_word,
    plugin_exchange,
)
from worker.broker.queue_names import Names
from worker.settings import DEFAULT_EVENT_QUEUES, DelayKind

# The dead letters must never be dropped for having been looked at often: RabbitMQ 4 has a default
# limit of 20 deliveries, 3.x has none, and this number is accepted by both.
UNLIMITED_DELIVERIES: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Exchange:
    name: str
    type: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binding:
    """From exchange `source` to a queue, or to an exchange when `to_exchange`."""

    source: str
    destination: str
    routing_key: str
    to_exchange: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """All exchanges, queues and bindings that the worker needs on the broker."""

    names: Names
    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]


def build_topology(
    namespace: str,
    delay: DelayKind,
    delivery_limit: int,
    event_queues: tuple[str, ...] = DEFAULT_EVENT_QUEUES,
) -> Topology:
    """The topology of `namespace` with one kind of delay, and these queues of fresh events, by
    their names without the namespace. Pure.
    """
    names = Names(namespace, event_queues)
    exchanges = [
        Exchange(names.dead_letters, "fanout"),
        _with_alternate_exchange(names.events, "topic", names),
        _with_alternate_exchange(names.retry, "fanout", names),
        _with_alternate_exchange(names.parked, "fanout", names),
    ]
    work = _quorum(names.dead_letters) | {"x-delivery-limit": delivery_limit}
    queues = [
        Queue(
            names.dead_letters,
            {"x-queue-type": "quorum", "x-delivery-limit": UNLIMITED_DELIVERIES},
        ),
        *(Queue(one, work) for one in names.event_queues),
        Queue(names.retries, work),
        Queue(names.parked, work),
        Queue(names.suspects, work),
    ]
    bindings = [
        Binding(names.dead_letters, names.dead_letters, ""),
        Binding(names.events, names.events, "#"),
        Binding(names.retry, names.retries, ""),
        Binding(names.parked, names.parked, ""),
    ]
    if len(names.event_queues) > 1:
        exchanges.append(_with_alternate_exchange(names.event_exchange, "direct", names))
        bindings += (Binding(names.event_exchange, one, one) for one in names.event_queues)
    if delay == "native":
        _add_chain(names, exchanges, queues, bindings)
    else:
        # No alternate exchange here: a message that is to wait routes to no queue yet, so the
        # alternate would get a copy of each at once (seen on 3.10.8 with plugin 3.10.2).
        for parked, queue in ((False, names.retries), (True, names.parked)):
            delayed = plugin_exchange(namespace, parked=parked)
            exchanges.append(Exchange(delayed, "x-delayed-message", {"x-delayed-type": "fanout"}))
            bindings.append(Binding(delayed, queue, ""))
    return Topology(names, tuple(exchanges), tuple(queues), tuple(bindings))


def _with_alternate_exchange(name: str, kind: str, names: Names) -> Exchange:
    """Whatever fits no binding of it is a dead letter."""
    return Exchange(name, kind, {"alternate-exchange": names.dead_letters})


def _quorum(dead_letter_exchange: str) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": dead_letter_exchange,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def _add_chain(
    names: Names, exchanges: list[Exchange], queues: list[Queue], bindings: list[Binding]
) -> None:
    """A message enters the queue of its first level. Each queue leads into an exchange that knows
    the level after its own by the routing key, or that there is none.
    """
    exchanges.append(_with_alternate_exchange(entry(names.namespace), "topic", names))
    for level in range(LEVELS):
        name, word = level_name(names.namespace, level), level_word(level)
        exchanges.append(_with_alternate_exchange(name, "topic", names))
        queues.append(Queue(name, _quorum(name) | {"x-message-ttl": level_ttl_ms(level)}))
        bindings.append(Binding(entry(names.namespace), name, f"{word}.#"))
        bindings.append(Binding(name, names.retry, f"#.{word}", to_exchange=True))
        parked = f"#.{word}.{PARKED_WORD}"
        bindings.append(Binding(name, names.parked, parked, to_exchange=True))
        for shorter in range(level):
            bindings.append(
                Binding(
                    name,
                    level_name(names.namespace, shorter),
                    f"#.{word}.{level_word(shorter)}.#",
                )
            )


async def declare(connection: AbstractConnection, topology: Topology) -> None:
    """Declare all of `topology`; what is there already with the same arguments stays as it is.

    Raises `TopologyConflict` naming what exists with other arguments, or a plugin that is missing.
    """
    channel = await connection.channel(publisher_confirms=False)
    try:
        for exchange in topology.exchanges:
            await declare_exchange(channel, exchange)
        for queue in topology.queues:
            await declare_queue(channel, queue)
        for binding in topology.bindings:
            await bind(channel, binding)
    finally:
        if not channel.is_closed:
            await channel.close()


async def assert_bindings(channel: AbstractChannel, topology: Topology) -> None:
    """Declare all bindings again: the only way to be sure where a publish can't be mandatory."""
    for binding in topology.bindings:
        await bind(channel, binding)


async def declare_exchange(channel: AbstractChannel, exchange: Exchange) -> None:
    """Declare one exchange of a topology. Raises as `declare` does."""
    with refusals_named("exchange", exchange.name):
        await channel.declare_exchange(
            exchange.name,
            exchange.type if exchange.type.startswith("x-") else ExchangeType(exchange.type),
            durable=True,
            arguments=exchange.arguments,
        )


async def declare_queue(channel: AbstractChannel, queue: Queue) -> None:
    """Declare one queue of a topology. Raises as `declare` does."""
    with refusals_named("queue", queue.name):
        await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)


async def bind(channel: AbstractChannel, binding: Binding) -> None:
    """Bind a queue or an exchange that is there to its source exchange."""
    source = await channel.get_exchange(binding.source, ensure=False)
    if binding.to_exchange:
        exchange = await channel.get_exchange(binding.destination, ensure=False)
        await exchange.bind(source, binding.routing_key)
    else:
        queue = await channel.get_queue(binding.destination, ensure=False)
        await queue.bind(source, binding.routing_key)
