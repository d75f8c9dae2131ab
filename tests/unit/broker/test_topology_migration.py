"""What a migration does for each way in which the broker may differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from worker.broker.topology import build_topology
from worker.broker.topology_plan import Migration, Step, dead_letter_targets, plan_migration
from worker.broker.topology_state import Found, TopologyState

TOPOLOGY = build_topology("acme", "native", 20)


def _plan(
    *different: Found, aside: frozenset[str] = frozenset(), dropped: tuple[Found, ...] = ()
) -> Migration:
    """Where all is as it is wanted but for these."""
    by_name = {(one.kind, one.name): one for one in different}
    exchanges = [Found("exchange", one.name, "wanted") for one in TOPOLOGY.exchanges]
    queues = [Found("queue", one.name, "wanted") for one in TOPOLOGY.queues]
    state = TopologyState(
        [by_name.pop(("exchange", one.name), one) for one in exchanges],
        [by_name.pop(("queue", one.name), one) for one in queues],
        aside,
        dropped,
    )
    assert not by_name
    return plan_migration(state, TOPOLOGY)


EVENTS = Found("queue", "acme.events", "other", "another limit", messages=3)
LEVEL = Found("queue", "acme.delay.1s", "other", "another exchange", messages=2)


def test_where_all_is_as_wanted_nothing_is_done() -> None:
    assert _plan() == Migration([], [])


def test_on_an_empty_broker_all_is_created() -> None:
    state = TopologyState(
        [Found("exchange", one.name, "missing") for one in TOPOLOGY.exchanges],
        [Found("queue", one.name, "missing") for one in TOPOLOGY.queues],
    )
    migration = plan_migration(state, TOPOLOGY)
    assert {one.action for one in migration.steps} == {"create"}
    assert len(migration.steps) == len(TOPOLOGY.exchanges) + len(TOPOLOGY.queues)


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (EVENTS, Step("move", "queue", "acme.events", "another limit", 3)),
        # Empty now, but an exchange leads to it: what is published meanwhile is put aside.
        (replace(EVENTS, messages=0), Step("move", "queue", "acme.events", "another limit")),
        (
            Found("queue", "acme.suspects", "other", "another limit"),
            Step("replace", "queue", "acme.suspects", "another limit"),
        ),
        (
            Found("exchange", "acme.events", "other", "another type"),
            Step("replace", "exchange", "acme.events", "another type"),
        ),
        (Found("queue", "acme.parked", "missing"), Step("create", "queue", "acme.parked")),
    ],
)
def test_what_differs_is_changed_alone(found: Found, step: Step) -> None:
    assert _plan(found).steps == [step]


def test_messages_of_the_delay_are_waited_for_and_its_exchanges_made_anew() -> None:
    migration = _plan(LEVEL)
    waiting = [one for one in migration.steps if one.waits]
    assert waiting == [Step("replace", "queue", "acme.delay.1s", "another exchange", 2)]
    exchanges = [one.name for one in TOPOLOGY.exchanges if one.name.startswith("acme.delay")]
    assert migration.of("exchange", "replace") == exchanges
    words = [one.removeprefix("acme.delay.") for one in migration.waits_for]
    assert words[:2] + words[-2:] == ["256s", "128s", "250ms", "125ms"], "as a message goes"
    assert len(words) == len(exchanges) - 1, "a message may be on its way to any of them"


@pytest.mark.parametrize("name", ["acme.delay", "acme.delay.1s"])
def test_the_delay_runs_empty_before_an_exchange_of_it_is_made_anew(name: str) -> None:
    assert len(_plan(Found("exchange", name, "other", "another type")).waits_for) == 12
    assert not _plan(EVENTS).waits_for
    assert not _plan(Found("queue", "acme.delay.1s", "missing")).waits_for


def test_a_queue_hands_on_to_the_dead_letters_and_along_the_delay() -> None:
    assert dead_letter_targets(TOPOLOGY, "acme.events") == ["acme.dead-letters"]
    assert dead_letter_targets(TOPOLOGY, "acme.dead-letters") == []
    assert dead_letter_targets(TOPOLOGY, "acme.delay.250ms") == [
        *("acme.delay.125ms", "acme.retries", "acme.parked", "acme.dead-letters")
    ]


@pytest.mark.parametrize(
    ("state", "action"), [("other", "move"), ("missing", "finish"), ("wanted", "finish")]
)
def test_what_was_interrupted_goes_on(
    state: Literal["other", "missing", "wanted"], action: str
) -> None:
    found = replace(EVENTS, state=state, messages=0)
    (step,) = _plan(found, aside=frozenset({"acme.events"})).steps
    assert (step.action, step.name) == (action, "acme.events")


def test_nothing_is_changed_while_a_queue_is_consumed() -> None:
    consumed = Found("queue", "acme.retries", "wanted", consumers=2)
    assert _plan(consumed).obstacles == [], "nothing has to be changed"
    missing = Found("queue", "acme.parked", "missing")
    assert _plan(consumed, missing).obstacles == [], "to declare what is missing harms nobody"
    assert _plan(consumed, EVENTS).obstacles == [
        "queue acme.retries has 2 consumers: stop all workers"
    ]


NAME = "acme.events.3"


@pytest.mark.parametrize(
    ("state", "messages", "steps"),
    [
        ("wanted", 3, [Step("drop", "queue", NAME, "its messages go to acme.events", 3)]),
        ("wanted", 0, [Step("drop", "queue", NAME)]),
        ("missing", 0, []),
    ],
)
def test_a_dropped_queue_goes_while_workers_run(
    state: Literal["wanted", "missing"], messages: int, steps: list[Step]
) -> None:
    in_use = Found("queue", "acme.events", "wanted", consumers=2)
    dropped = Found("queue", NAME, state, messages=messages)
    assert _plan(in_use, dropped=(dropped,)) == Migration(steps, [])


def test_what_was_put_aside_of_a_dropped_queue_goes_too() -> None:
    dropped = Found("queue", NAME, "missing")
    aside = Found("queue", f"{NAME}.migrating", "wanted", messages=2)
    step = Step("drop", "queue", f"{NAME}.migrating", "its messages go to acme.events", 2)
    assert _plan(dropped=(dropped, aside)) == Migration([step], [])


def test_a_dropped_queue_that_somebody_takes_from_stays() -> None:
    dropped = Found("queue", "acme.events.3", "wanted", consumers=1)
    (obstacle,) = _plan(dropped=(dropped,)).obstacles
    assert obstacle == (
        "queue acme.events.3 has 1 consumer: stop the workers that name it in "
        "CONSENT_WORKER_EVENT_QUEUES"
    )
