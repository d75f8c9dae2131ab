"""A preview is confirmed once, by the one who asked for it, and while it is fresh."""

from __future__ import annotations

import weakref

import pytest

from worker.console.dead_letters.tickets import LIFE_MS, Spent, Tickets


def test_a_ticket_is_good_once_and_tells_what_it_was_used_for() -> None:
    tickets: Tickets[str] = Tickets(lambda: 0)
    name = tickets.issue("all", "session")
    assert tickets.look(name, "session") == "all"
    assert tickets.spend(name, "session", "act-1") == "all"
    with pytest.raises(Spent) as spent:
        tickets.look(name, "session")
    assert spent.value.act == "act-1"
    with pytest.raises(Spent) as spent:
        tickets.spend(name, "session", "act-2")
    assert spent.value.act == "act-1"


def test_a_ticket_of_another_session_an_old_one_or_none_is_refused() -> None:
    now = 0
    tickets: Tickets[str] = Tickets(lambda: now)
    name = tickets.issue("all", "session")
    for said in ((name, "another"), ("none", "session"), ("", "session")):
        with pytest.raises(Spent) as spent:
            tickets.look(*said)
        assert spent.value.act == ""
    now = LIFE_MS
    assert tickets.look(name, "session") == "all"
    now += 1
    with pytest.raises(Spent):
        tickets.look(name, "session")


def test_only_so_many_are_remembered() -> None:
    tickets: Tickets[int] = Tickets(lambda: 0)
    names = [tickets.issue(n, "session") for n in range(1001)]
    with pytest.raises(Spent):
        tickets.look(names[0], "session")
    assert tickets.look(names[-1], "session") == 1000


def test_what_was_used_is_not_kept_and_what_is_old_makes_room() -> None:
    now = 0
    tickets: Tickets[object] = Tickets(lambda: now, most_open=2)
    large = _Large()
    seen = weakref.ref(large)
    used = tickets.issue(large, "session")
    tickets.spend(used, "session", "act-1")
    del large
    assert seen() is None, "its letters are many"
    names = [tickets.issue(n, "session") for n in range(3)]
    with pytest.raises(Spent):
        tickets.look(names[0], "session")
    assert [tickets.look(name, "session") for name in names[1:]] == [1, 2]
    now = LIFE_MS + 1
    tickets.issue(_Large(), "session")
    with pytest.raises(Spent) as spent:
        tickets.look(used, "session")
    assert spent.value.act == "act-1", "a form that is sent twice leads to its act still"


class _Large:
    """Something whose end can be seen."""
