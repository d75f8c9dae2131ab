"""The oracle of the soak says what the promises say; each right value is written here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from devtools.soak.customer import Customer
from devtools.soak.oracle import what_is_wrong
from devtools.soak.statements import BASE, Form, Statement

RAW = Customer("raw-events", None, {})
RAW_EMPTY = Customer("raw-events", "none", {})
ABSENT: dict[str, Any] = {"news": False, "offers": {"val": "u"}, "topics": "gone"}
RAW_SNAPSHOTS = Customer("raw-snapshots", None, ABSENT)
XDM = Customer("xdm-snapshots", None, {})
COMPLETED = Customer("xdm-events", None, {})


@dataclass
class Course:
    """Everything was delivered, but `undelivered`; `kept_before` are pairs of ids."""

    undelivered: set[str] = field(default_factory=set)
    kept_before: set[tuple[str, str]] = field(default_factory=set)

    def was_delivered(self, said: Statement) -> bool:
        return said.id not in self.undelivered

    def was_kept_before(self, first: Statement, then: Statement) -> bool:
        return (first.id, then.id) in self.kept_before


def event(id_: str, hour: int, updated: int | None = None, **choices: Any) -> Statement:
    updated_at = None if updated is None else BASE + timedelta(hours=updated)
    return Statement(id_, 0, "event.created", BASE + timedelta(hours=hour), choices, updated_at)


def snapshot(
    id_: str, hour: float, device: str = "phone", version: int = 2, **choices: Any
) -> Statement:
    form: Form = "user.created" if version == 1 else "user.updated"
    at = BASE + timedelta(hours=hour)
    return Statement(id_, 0, form, at, choices, device=device, version=version)


def of(hour: float) -> str:
    return (BASE + timedelta(hours=hour)).isoformat().replace("+00:00", ".000Z")


def test_the_newest_choice_of_each_attribute_stands() -> None:
    said = [event("a", 11, news=False), event("b", 10, news=True, country="DE")]
    right = {"news": False, "country": "DE", "asOf": of(11)}
    assert what_is_wrong(RAW, said, right, Course()) == []
    assert what_is_wrong(RAW, said, right | {"news": True}, Course()) == [
        "news is True instead of False"
    ]


@pytest.mark.parametrize(
    ("said", "news"),
    [
        pytest.param([event("a", 10, news=True), event("b", 10, news=False)], False, id="refusal"),
        pytest.param(
            [event("a", 10, 12, news=True), event("b", 10, 11, news=False)], True, id="update"
        ),
        pytest.param([event("a", 10, news=True), event("b", 10, 11, news=True)], True, id="id"),
    ],
)
def test_what_decides_between_choices_of_one_time(said: list[Statement], news: bool) -> None:
    right = {"news": news, "asOf": of(10)}
    assert what_is_wrong(RAW, said, right, Course()) == []
    assert what_is_wrong(RAW, said, right | {"news": not news}, Course()) != []


def test_a_change_without_a_time_is_newer_than_the_creation() -> None:
    created = event("a", 10, news=False)
    said = [Statement("a", 0, "event.updated", created.at, {"news": True}), created]
    assert what_is_wrong(RAW, said, {"news": True, "asOf": of(10)}, Course()) == []


@pytest.mark.parametrize("value", [None, "shoes"])
def test_an_emptied_preference_without_a_word_for_it_leaves_what_stood(value: str | None) -> None:
    said = [event("a", 10, topics="shoes"), event("b", 11, topics=""), event("c", 9, topics="bags")]
    record = {"topics": value, "asOf": of(11)} if value else {"asOf": of(11)}
    course = Course(kept_before={("b", "c")})
    assert what_is_wrong(RAW, said, record, course) == []
    late = what_is_wrong(RAW, said, {"topics": "bags", "asOf": of(11)}, course)
    assert late == ["topics is bags instead of None or shoes"]


def test_an_emptied_preference_is_sent_by_its_word_and_erased_from_a_whole_record() -> None:
    said = [event("a", 11, topics=""), event("b", 10, topics="shoes")]
    assert what_is_wrong(RAW_EMPTY, said, {"topics": "none", "asOf": of(11)}, Course()) == []
    assert what_is_wrong(COMPLETED, said, {"asOf": of(11)}, Course()) == []
    assert what_is_wrong(COMPLETED, said, {"topics": "shoes", "asOf": of(11)}, Course()) != []


def test_a_newer_snapshot_takes_back_what_it_does_not_name() -> None:
    said = [
        snapshot("a", 10, version=1, news=True),
        snapshot("c", 11, version=3),
        snapshot("b", 10.5, version=2, news=True, offers=True),
    ]
    course = Course(undelivered={"b"})
    assert what_is_wrong(XDM, said, {"asOf": of(11)}, course) == []
    assert what_is_wrong(XDM, said, {"news": True, "asOf": of(11)}, course) != []
    taken_back = {"news": False, "asOf": of(11)}
    assert what_is_wrong(RAW_SNAPSHOTS, said, taken_back, course) == []
    seen = {"offers": {"val": "u"}, "offersSince": of(11)}
    assert what_is_wrong(RAW_SNAPSHOTS, said, taken_back | seen, Course()) == []


def test_another_device_erases_nothing_and_what_it_chose_later_stays() -> None:
    said = [
        snapshot("a", 10, version=1, news=True),
        snapshot("b", 11, "tablet", 1, news=False),
        snapshot("c", 12, version=2),
        snapshot("d", 13, "watch", 1),
    ]
    for order in (said, said[::-1], [said[0], said[2], said[1]]):
        right = {"news": False, "asOf": of(12)}
        assert what_is_wrong(XDM, order, right, Course(undelivered={"d"})) == []
        assert what_is_wrong(XDM, order, {"asOf": of(12)}, Course(undelivered={"d"})) != []


def test_a_snapshot_without_consents_counts_only_for_a_known_user() -> None:
    first = snapshot("a", 10, version=1, news=True)
    silent = Statement(
        "b",
        0,
        "user.updated",
        BASE + timedelta(hours=11),
        device="phone",
        version=2,
        has_consents=False,
    )
    course = Course(undelivered={"b"})
    assert what_is_wrong(XDM, [silent, first], {"news": True, "asOf": of(10)}, course) == []
    known = Course(kept_before={("a", "b")})
    assert what_is_wrong(XDM, [first, silent], {"asOf": of(11)}, known) == []
    assert what_is_wrong(XDM, [first, silent], {"news": True, "asOf": of(11)}, known) != []


def test_the_time_of_the_record_never_goes_back() -> None:
    said = [event("a", 11, news=True), event("b", 10, country="DE")]
    record = {"news": True, "country": "DE", "asOf": of(10)}
    (problem,) = what_is_wrong(RAW, said, record, Course())
    assert "though what was sent is of" in problem


def test_each_choice_has_its_own_time() -> None:
    said = [event("a", 10, offers=True), event("b", 11, news=True)]
    record = {"news": True, "offers": {"val": "y"}, "offersSince": of(10), "asOf": of(11)}
    assert what_is_wrong(RAW, said, record, Course()) == []
    assert what_is_wrong(RAW, said, record | {"offersSince": of(11)}, Course()) != []
    assert what_is_wrong(RAW, said, record | {"more": 1}, Course()) == ["nobody has said more"]
