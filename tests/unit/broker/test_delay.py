"""The chain of delays: every delay is the sum of the levels whose bit is set."""

import re

from hypothesis import given
from hypothesis import strategies as st

from worker.broker.delay import (
    LEVELS,
    MAX_DELAY_MS,
    UNIT_MS,
    NativeDelay,
    PluginDelay,
    by_few_levels,
    level_name,
    level_ttl_ms,
)
from worker.broker.topology import build_topology


def _matches(pattern: str, key: str) -> bool:
    """Topic matching of RabbitMQ for patterns of words between a leading and a trailing `#`."""
    regex = pattern.replace(".", r"\.").replace(r"#\.", r"(.+\.)?").replace(r"\.#", r"(\..+)?")
    return re.fullmatch(regex, key) is not None


def _walk(exchange: str, key: str) -> int:
    """Follow a message through the declared chain; milliseconds it is held in all."""
    topology = build_topology("n", "native", 20)
    queues = {queue.name: queue for queue in topology.queues}
    held = 0
    while exchange != "n.retry":
        hits = [
            binding
            for binding in topology.bindings
            if binding.source == exchange and _matches(binding.routing_key, key)
        ]
        assert len(hits) == 1, "exactly one way on"
        if hits[0].to_exchange:
            exchange = hits[0].destination
        else:
            arguments = queues[hits[0].destination].arguments
            held += arguments["x-message-ttl"]
            exchange = arguments["x-dead-letter-exchange"]
    return held


@given(st.floats(min_value=0.0, max_value=340.0))
def test_a_delay_by_few_levels_is_no_shorter_and_passes_two_queues_at_most(delay: float) -> None:
    longer = by_few_levels(delay)
    target = NativeDelay("n").target(longer)
    assert delay <= longer <= max(1.5 * delay, 2 * UNIT_MS / 1000)
    assert len(target.routing_key.split(".")) <= 2
    assert _walk(target.exchange, target.routing_key) / 1000 == max(longer, UNIT_MS / 1000)


@given(st.floats(min_value=0.0, max_value=511.0))
def test_the_chain_holds_a_message_for_the_delay_asked_for(delay: float) -> None:
    target = NativeDelay("n").target(delay)
    held = _walk(target.exchange, target.routing_key) / 1000
    tolerance = 0.5 if delay >= 16 else UNIT_MS / 2000
    assert abs(held - max(delay, UNIT_MS / 1000)) <= tolerance + 1e-9
    assert target.mandatory
    assert target.headers == {}


def test_the_routing_key_names_the_levels_that_hold_the_longest_first() -> None:
    assert NativeDelay("n").target(5.0).routing_key == "4s.1s"
    assert NativeDelay("n").target(0.1).routing_key == "125ms"
    assert NativeDelay("n").target(90).routing_key == "64s.16s.8s.2s"
    assert NativeDelay("n").target(10_000).routing_key.split(".")[0] == "256s"
    assert {NativeDelay("n").target(delay).exchange for delay in (0.1, 5.0, 90)} == {"n.delay"}


def test_level_names_are_unique() -> None:
    assert len({level_name("n", level) for level in range(LEVELS)}) == LEVELS
    assert sum(level_ttl_ms(level) for level in range(LEVELS)) == MAX_DELAY_MS


def test_the_plugin_gets_milliseconds_and_is_never_mandatory() -> None:
    target = PluginDelay("n").target(5.25)
    assert (target.exchange, target.headers, target.mandatory) == (
        "n.delayed",
        {"x-delay": 5250},
        False,
    )


def test_every_exchange_a_hop_leads_into_has_an_alternate() -> None:
    for exchange in build_topology("n", "native", 20).exchanges:
        if exchange.name != "n.dead-letters":
            assert exchange.arguments["alternate-exchange"] == "n.dead-letters"


def test_the_exchange_of_the_plugin_has_none_since_it_would_get_every_message_at_once() -> None:
    exchanges = {one.name: one for one in build_topology("n", "plugin", 20).exchanges}
    assert exchanges["n.delayed"].arguments == {"x-delayed-type": "fanout"}


def test_every_queue_that_dead_letters_does_so_at_least_once() -> None:
    for queue in build_topology("n", "native", 20).queues:
        assert queue.arguments["x-queue-type"] == "quorum"
        if "x-dead-letter-exchange" in queue.arguments:
            assert queue.arguments["x-dead-letter-strategy"] == "at-least-once"
            assert queue.arguments["x-overflow"] == "reject-publish"
