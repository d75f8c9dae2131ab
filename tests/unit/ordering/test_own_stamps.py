"""Stamps that are an event's own under another id, and those of other events of the same time."""

from __future__ import annotations

import pytest

from tests.unit.examples import envelope, snapshot
from tests.unit.ordering.test_unclear import Choice
from worker.ordering.newest_fold import stamps_of
from worker.ordering.own_stamps import called_as_now
from worker.ordering.stamp import Stamp
from worker.ordering.user_digests import UserKeys

OWN = Choice(20, "now", 21, {"news": False, "tier": 2})
OTHER_IDS = ("raw", "former")


def test_its_own_stamps_are_known_by_each_of_its_other_ids() -> None:
    own = stamps_of(OWN)
    stored = {
        "news": own["news"]._replace(event_id="raw"),
        "tier": own["tier"]._replace(event_id="former"),
        "offers": Stamp(20, 21, False, "raw"),
    }
    assert called_as_now(stored, [(OWN, OTHER_IDS)]) == own | {"offers": stored["offers"]}


@pytest.mark.parametrize(
    "standing",
    [
        pytest.param(Stamp(20, 21, True, "another"), id="of another event of the same time"),
        pytest.param(Stamp(20, 22, True, "raw"), id="of a later version of it"),
        pytest.param(Stamp(21, 21, True, "raw"), id="of another time"),
        pytest.param(Stamp(20, 21, False, "raw"), id="of another answer"),
        pytest.param(Stamp(20, 21, True, "now"), id="by its present id"),
    ],
)
def test_any_other_stamp_stays_as_it_is(standing: Stamp) -> None:
    stored = {"news": standing}
    assert called_as_now(stored, [(OWN, OTHER_IDS)]) == stored
    assert called_as_now(stored, [(OWN, ())]) is stored


def test_an_event_has_the_ids_that_other_workers_of_the_fleet_may_give_it() -> None:
    present, former = UserKeys(b"present", b"former"), UserKeys(b"former")
    for made in (envelope(id="evt-20240101123456"), snapshot(id="evt-20240101123456")):
        called = present.without_person(made)
        expected = {former.without_person(made).event_id, "evt-20240101123456"}
        assert set(present.other_ids(called)) == expected
        alone = UserKeys(b"present")
        assert alone.other_ids(alone.without_person(made)) == ("evt-20240101123456",)


@pytest.mark.parametrize("event_id", ["lena@northwind.example", "x" * 65])
def test_an_id_that_was_a_digest_without_a_key_is_known_by_that(event_id: str) -> None:
    keys = UserKeys(b"s")
    (former,) = keys.other_ids(keys.without_person(envelope(id=event_id)))
    assert len(former) == 48
    assert event_id not in former


def test_what_keeps_its_id_has_no_other() -> None:
    keys = UserKeys(b"present", b"former")
    for made in (envelope(id="ev-1"), snapshot(id=None)):
        assert keys.other_ids(keys.without_person(made)) == ()
