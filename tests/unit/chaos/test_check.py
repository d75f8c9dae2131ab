"""What a run of chaos takes for a broken promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from devtools.chaos.check import Ends, Letter, beyond_hope, lost, own_faults, stale
from devtools.chaos.customers import CUSTOMERS, Customer
from devtools.choices import LONG_AGO, Event

BATCH, _, LOOK_UP, _, SNAPSHOTS = CUSTOMERS
OLD = Event("old", 1, "choice", LONG_AGO, None, {"news": True, "country": "DE"})
NEW = Event("new", 1, "choice", LONG_AGO + timedelta(seconds=1), None, {"news": False})
NOBODY = Event("nobody", 1, "no-identity", LONG_AGO, None, {"news": True})
SILENT = Event("silent", 1, "says-nothing", LONG_AGO, None, {})


def told(kind: str, event_id: str = "old", **more: Any) -> dict[str, Any]:
    return {"event": f"delivery.{kind}", "integration": "batches", "event_id": event_id} | more


def profile(customer: Customer, record: dict[str, Any] | None, user: int = 1) -> dict[Any, Any]:
    return {(customer.id, customer.email(user)): record}


def letter(event_id: str, reason: str = "retries-exhausted") -> Letter:
    return Letter("batches", event_id, reason)


# Conservation


def test_an_event_that_has_ended_is_not_lost() -> None:
    once = Counter({("batches", "old"): 1})
    assert lost(once, Ends.of([told("delivered")], {}), []) == []
    assert lost(once, Ends.of([told("skipped", reason="superseded")], {}), []) == []
    assert lost(once, Ends(), [letter("old")]) == []


def test_an_event_of_which_nobody_told_is_lost() -> None:
    (problem,) = lost(Counter({("batches", "old"): 1}), Ends(), [letter("new")])
    assert problem == "batches: old was published 1 times and ended 0 times"


def test_an_end_is_told_by_the_name_that_workers_have_for_the_event() -> None:
    once = Counter({("batches", "old"): 1})
    ends = Ends.of([told("delivered", "its-digest")], {"its-digest": "old"})
    assert lost(once, ends, []) == []


def test_each_copy_has_an_end_of_its_own() -> None:
    twice = Counter({("batches", "old"): 2})
    delivered = Ends.of([told("delivered")], {})
    assert len(lost(twice, delivered, [])) == 1
    assert lost(twice, delivered, [letter("old")]) == []


def test_what_does_not_end_an_event_is_no_end() -> None:
    entries = [
        told("retried", reason="timeout"),
        told("parked", reason="busy"),
        told("dead", reason="retries-exhausted"),  # the letter counts, and not that it was told of
        told("accepted_late"),
        told("skipped", reason=""),
        told("skipped"),
        {"event": "delivered", "integration": "batches", "event_id": "old"},
    ]
    assert len(lost(Counter({("batches", "old"): 1}), Ends.of(entries, {}), [])) == 1


def test_the_end_at_one_integration_is_none_at_another() -> None:
    other = told("delivered") | {"integration": "single"}
    assert len(lost(Counter({("batches", "old"): 1}), Ends.of([other], {}), [])) == 1


def test_skips_are_counted_by_reason() -> None:
    entries = [told("skipped", reason="superseded")] * 2 + [told("skipped", reason="duplicate")]
    assert Ends.of(entries, {}).reasons == {"batches": {"superseded": 2, "duplicate": 1}}


# Final values


def test_the_newest_of_each_attribute_is_right() -> None:
    right = {"news": False, "country": "DE"}
    assert stale({BATCH: [OLD, NEW, SILENT]}, profile(BATCH, right), []) == []


def test_an_older_value_is_stale() -> None:
    (problem,) = stale({BATCH: [OLD, NEW]}, profile(BATCH, {"news": True, "country": "DE"}), [])
    assert problem == "batches: of user 1 news is True instead of [False]"


def test_a_missing_value_and_a_missing_profile_are_stale() -> None:
    assert len(stale({BATCH: [OLD, NEW]}, profile(BATCH, {"news": False}), [])) == 1
    assert len(stale({BATCH: [OLD, NEW]}, {}, [])) == 2


def test_a_dead_letter_explains_an_older_value_and_no_other() -> None:
    drawn = {BATCH: [OLD, NEW]}
    older = profile(BATCH, {"news": True, "country": "DE"})
    assert stale(drawn, older, [letter("new")]) == []
    assert stale(drawn, profile(BATCH, {"news": False, "country": "DE"}), [letter("new")]) == []
    assert len(stale(drawn, older, [letter("old")])) == 1
    assert len(stale(drawn, older, [replace(letter("new"), integration="single")])) == 1


def test_a_snapshot_is_right_as_a_whole() -> None:
    drawn = {SNAPSHOTS: [OLD, NEW]}
    assert stale(drawn, profile(SNAPSHOTS, {"news": False}), []) == []
    assert len(stale(drawn, profile(SNAPSHOTS, {"news": False, "country": "DE"}), [])) == 1


def test_a_snapshot_that_says_nothing_takes_back_all() -> None:
    drawn = {SNAPSHOTS: [OLD, replace(SILENT, at=NEW.at)]}
    assert stale(drawn, profile(SNAPSHOTS, None), []) == []
    assert stale(drawn, profile(SNAPSHOTS, {}), []) == []
    assert len(stale(drawn, profile(SNAPSHOTS, {"news": True, "country": "DE"}), [])) == 1


def test_who_is_unknown_to_the_look_up_has_no_profile() -> None:
    unknown = replace(OLD, user=10)
    assert not LOOK_UP.knows(10)
    assert stale({LOOK_UP: [unknown]}, {}, []) == []
    assert len(stale({LOOK_UP: [unknown]}, profile(LOOK_UP, {"news": True}, 10), [])) == 1
    assert len(stale({LOOK_UP: [OLD]}, {}, [])) == 2


# Dead letters, and faults of our own


def test_a_replay_leaves_those_that_name_nobody() -> None:
    drawn = {BATCH: [OLD, NOBODY]}
    hopeless = letter("nobody", "no-identity")
    assert beyond_hope(drawn, [hopeless]) == []
    assert len(beyond_hope(drawn, [hopeless, letter("old")])) == 1
    assert len(beyond_hope(drawn, [])) == 1


def test_faults_of_our_own_are_explained_by_nothing() -> None:
    crash = {"event": "lane.unexpected_error", "exception": "KeyError"}
    assert len(own_faults([crash, told("delivered")], [])) == 1
    assert len(own_faults([], [letter("old", "unexpected-error"), letter("new")])) == 1
