"""Several queues of events: what is declared for them, and what each has of the prefetch."""

from __future__ import annotations

import pytest

from worker.broker.intake import shares
from worker.broker.queue_names import Names
from worker.broker.topology import Binding, build_topology
from worker.service.readiness import event_queue_notes
from worker.settings.broker import OTHER_QUEUES

ONE = build_topology("n", "native", 20)
THREE = build_topology("n", "native", 20, ("events", "events.2", "events.eu"))


def test_by_default_there_is_one_as_in_0_2_0() -> None:
    assert [one.name for one in ONE.queues if one.name.startswith("n.events")] == ["n.events"]
    assert ONE.names.event_targets == (("n.events", ""),)
    assert {one.name for one in ONE.exchanges if ".delay" not in one.name} == {
        *("n.dead-letters", "n.events", "n.retry", "n.parked")
    }


def test_more_of_them_change_nothing_that_was_there() -> None:
    assert set(map(repr, ONE.queues)) < set(map(repr, THREE.queues))
    assert set(map(repr, ONE.exchanges)) < set(map(repr, THREE.exchanges))
    assert set(ONE.bindings) < set(THREE.bindings)


def test_each_is_as_the_first_and_is_reached_by_its_name() -> None:
    first, *others = (one for one in THREE.queues if one.name.startswith("n.events"))
    assert [one.name for one in others] == ["n.events.2", "n.events.eu"]
    assert all(one.arguments == first.arguments for one in others)
    (exchange,) = (one for one in THREE.exchanges if one.name == "n.event-queues")
    assert exchange.type == "direct"
    assert exchange.arguments == {"alternate-exchange": "n.dead-letters"}
    for name in THREE.names.event_queues:
        assert Binding("n.event-queues", name, name) in THREE.bindings
        assert ("n.event-queues", name) in THREE.names.event_targets


def test_none_may_be_called_as_another_queue_of_a_namespace() -> None:
    names = Names("n")
    said = {getattr(names, one) for one in dir(Names) if isinstance(getattr(Names, one), property)}
    texts = {one for one in said if isinstance(one, str)}
    assert len(texts) > 8
    words = {one.removeprefix("n.") for one in texts}
    assert {one for one in words if "." not in one} <= OTHER_QUEUES


@pytest.mark.parametrize(
    ("prefetch", "queues", "parts"),
    [
        pytest.param(2000, 1, [2000], id="one has all"),
        pytest.param(2000, 3, [667, 667, 666], id="nothing is left over"),
        pytest.param(3, 3, [1, 1, 1], id="each has one at least"),
    ],
)
def test_all_together_have_no_more_in_hand_than_one(
    prefetch: int, queues: int, parts: list[int]
) -> None:
    assert shares(prefetch, queues) == parts


@pytest.mark.parametrize(
    ("consumers", "noted"),
    [
        pytest.param({}, [], id="nothing is known yet"),
        pytest.param({"n.events": 3, "n.events.2": 3, "n.events.eu": 3}, [], id="all alike"),
        pytest.param({"n.events": 3, "n.events.2": 3, "n.events.eu": 1}, ["1 of 3"], id="fewer"),
        pytest.param({"n.events": 2, "n.events.2": 3, "n.events.eu": 3}, [], id="more"),
    ],
)
def test_a_queue_from_which_not_all_take_is_noted(
    consumers: dict[str, int], noted: list[str]
) -> None:
    notes = event_queue_notes(THREE.names, consumers)
    assert len(notes) == len(noted)
    for note, said in zip(notes, noted, strict=True):
        assert note.startswith(f"{said} workers take events from n.events.eu")
