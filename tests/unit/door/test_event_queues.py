"""The door puts events on all queues in turn, and leaves out those that refuse."""

from __future__ import annotations

from collections import Counter

from worker.door.event_queues import SILENT_REST_SECONDS, SILENT_SECONDS, EventQueues

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
            queues.accepted(key, now)
    assert tried["b"] <= 11
    assert abs(tried["a"] - tried["c"]) < 20
    assert queues.note.startswith("no event is taken by b: it is full")
    assert queues.refusing_since == 0.01, "since the first refusal"
    queues.accepted("b", 10.0)
    assert queues.note == ""
    assert set(_keys(queues, 3, 10.0)) == {"a", "b", "c"}


def test_while_all_refuse_all_are_tried() -> None:
    queues = EventQueues(TARGETS)
    for _, key in TARGETS:
        queues.refused(key, 0.0)
    assert queues.note == "the queue takes no event: it is full, or not there"
    assert Counter(_keys(queues, 6, 0.5)) == {"a": 2, "b": 2, "c": 2}
    queues.forget()
    assert queues.note == ""


def test_one_that_is_silent_while_others_confirm_is_left_out_until_it_confirms() -> None:
    queues = EventQueues(TARGETS)
    queues.accepted("a", 1.0)
    assert queues.silent_for({"b": 0.5}, 0.5 + SILENT_SECONDS - 0.1) == 0.0
    assert queues.note == ""
    now = 0.5 + SILENT_SECONDS
    assert queues.silent_for({"b": 0.5}, now) == 0.0
    assert queues.note == "no event is confirmed by b, and others have its turns"
    assert _keys(queues, 4, now + 1) == ["a", "c", "a", "c"]
    assert Counter(_keys(queues, 9, now + SILENT_REST_SECONDS))["b"] == 1, "one, to try it"
    assert queues.silent_for({"b": 0.5}, now + SILENT_REST_SECONDS) == 0.0
    queues.accepted("b", now)
    assert queues.note == ""
    assert set(_keys(queues, 3, now)) == {"a", "b", "c"}


def test_the_broker_is_silent_where_no_other_queue_has_had_an_answer_since() -> None:
    queues = EventQueues(TARGETS)
    assert queues.silent_for({"a": 0.0, "b": 1.0}, 9.0) == 9.0, "none ever"
    queues.accepted("a", 2.0)
    assert queues.silent_for({"a": 3.0, "b": 1.0}, 9.0) == 6.0, "b alone is silent"
    assert queues.note.startswith("no event is confirmed by b,")
    queues.refused("c", 4.0)
    assert queues.silent_for({"a": 3.0}, 9.0) == 0.0, "a refusal is an answer"
    assert EventQueues(TARGETS[:1]).silent_for({"a": 0.0}, 99.0) == 99.0


def test_on_another_connection_one_that_refused_has_its_turn_at_once() -> None:
    queues = EventQueues(TARGETS)
    queues.refused("a", 5.0)
    assert _keys(queues, 3, 5.5) == ["b", "c", "b"]
    queues.renewed(5.5)
    assert set(_keys(queues, 3, 5.5)) == {"a", "b", "c"}
    assert queues.refusing_since == 5.5
    assert queues.note.startswith("no event is taken by a:"), "until it takes one"
