"""What adds up, and what does not."""

from __future__ import annotations

from devtools.made_receipts import state
from worker.ledger.conservation import (
    SILENT_MS,
    Awaited,
    Overdue,
    Overtaken,
    Shares,
    Taken,
    Tally,
    conserve,
    shares_of,
)
from worker.ledger.life import DEAD, DELIVERED, PARKED, RETRIED, SKIPPED
from worker.ledger.worker_state import read_state

NOW = 10_000_000


def _tally(worker: str, row: bytes, *, ago: int = 0, ended: bool = False) -> Tally:
    return Tally(worker, "c" * 32, read_state(row), NOW - ago, ended, 5, NOW - 7)


def test_nothing_adds_up_to_nothing() -> None:
    said = conserve([], {}, [], NOW)
    assert (said.adds_up, said.taken, said.total) == (True, Taken(), Shares())


def test_what_is_in_hand_of_who_is_gone_is_returned() -> None:
    row = state(taken=9, settled=4, in_hand=3, returned=2)
    for tally, in_hand in (
        (_tally("a", row), 3),
        (_tally("a", row, ago=SILENT_MS), 3),
        (_tally("a", row, ago=SILENT_MS + 1), 0),
        (_tally("a", row, ended=True), 0),
    ):
        said = conserve([tally], {}, [], NOW)
        assert said.adds_up
        assert said.taken == Taken(9, 4, in_hand, 5 - in_hand)


def test_what_is_nowhere_is_named_once() -> None:
    tallies = [
        _tally("short", state(taken=9, settled=4, in_hand=4)),
        _tally("long", state(taken=9, settled=10, in_hand=0)),
        _tally("silent", state(taken=9, settled=9, receipted=7)),
        _tally("killed", state(taken=9, settled=4, in_hand=4), ago=SILENT_MS + 1),
        _tally("silent and killed", state(taken=9, settled=4, receipted=3), ago=SILENT_MS + 1),
        _tally("well", state(taken=9, settled=9, receipted=9)),
        Tally("mute", "d" * 32, None, NOW, False, 5, None),
    ]
    missing = conserve(tallies, {}, [], NOW).missing
    assert [(one.where, one.events, one.since) for one in missing] == [
        ("short", 1, NOW - 7),
        ("long", 1, NOW - 7),
        ("silent", 2, NOW - 7),
        ("silent and killed", 1, NOW - 7),
    ]


def test_lives_are_counted_by_integration_and_in_all() -> None:
    overdue = [Overdue("shop", 2, 5), Overdue("", 1, 6)]
    rows = [
        ("shop", DELIVERED, 10),
        ("shop", RETRIED, 3),
        ("shop", PARKED, 4),
        ("", SKIPPED, 5),
        ("", PARKED, 1),
        ("bank", DEAD, 6),
    ]
    said = conserve([], shares_of(rows, overdue), overdue, NOW)
    assert said.shares["shop"] == Shares(10, 0, 0, 7, 2)
    assert said.total == Shares(10, 5, 6, 8, 3)
    assert said.total.begun == 29
    assert [(one.where, one.events, one.since) for one in said.missing] == [
        ("integration shop", 2, 5),
        ("no integration", 1, 6),
    ]


def test_what_doors_have_received_is_told_apart_and_held_against_nothing() -> None:
    worker, door = _tally("a", state(taken=5, settled=5)), _tally("b", state(received=7))
    said = conserve([worker, door, _tally("c", state(received=2), ended=True)], {}, [], NOW)
    assert (said.received, said.taken.taken) == (9, 5)
    assert said.adds_up
    assert [worker.is_door, door.is_door] == [False, True]


def test_overtaken_events_are_missing_by_organization() -> None:
    awaited = Awaited(9, [Overtaken("acme", 2, 5), Overtaken("", 1, 6)])
    said = conserve([], {}, [], NOW, awaited)
    assert [(one.where, one.events, one.since) for one in said.missing] == [
        ("organization acme", 2, 5),
        ("no organization", 1, 6),
    ]
    assert said.awaited == awaited
    waiting = conserve([], {}, [], NOW, Awaited(9))
    assert (waiting.adds_up, waiting.awaited.events) == (True, 9)
