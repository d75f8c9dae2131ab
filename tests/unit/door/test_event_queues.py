"""The door puts events on all queues in turn, and leaves out those that refuse."""

from __future__ import annotations

from collections import Counter

from worker.door.event_queues import EventQueues

TARGETS = [("x", "a"), ("x", "b"), ("x", "c")]


def _keys(queues: EventQueues, count: int, now: float) -> list[str]:
    return [queues.next(now)[1] for _ in range(count)]


def test_they_have_their_turns() -> None:
    assert _keys(EventQueues(TARGETS), 6, 0.0) == ["a", "b", "c", "a", "b", "c"]


def test_one_that_refuses_costs_one_event_a_second_and_is_told() -> None:
    queues = EventQueues(TARGETS)
    tried: Counter[str] = Counter()
    for number in range(1000):
        now = number / 100  # a hundred in each of ten seconds
        _, key = queues.next(now)
        tried[key] += 1
        if key == "b":
            queues.refused(key, now)
        else:
            queues.accepted(key)
    assert tried["b"] <= 11
    assert abs(tried["a"] - tried["c"]) < 20
    assert queues.refusing == ["b"]
    assert not queues.all_refuse
    assert queues.refusing_since == 0.01, "since the first refusal"
    queues.accepted("b")
    assert queues.refusing == []
    assert set(_keys(queues, 3, 10.0)) == {"a", "b", "c"}


def test_while_all_refuse_all_are_tried() -> None:
    queues = EventQueues(TARGETS)
    for _, key in TARGETS:
        queues.refused(key, 0.0)
    assert queues.all_refuse
    assert Counter(_keys(queues, 6, 0.5)) == {"a": 2, "b": 2, "c": 2}
    queues.forget()
    assert not queues.all_refuse
