"""Users are called by a digest that says nothing about them."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from tests.unit.examples import envelope, snapshot
from worker.ordering.stamp import MAX_EVENT_ID
from worker.ordering.user_digests import UserKeys, both_digests, shown_user
from worker.redaction import shown_id


def test_a_digest_is_the_same_in_every_version() -> None:
    """A digest that changes is a user whose stamps are forgotten."""
    keys = UserKeys(b"a secret")
    assert (
        keys.user_key("shop", "personalEmail.address", "lena@northwind.example")
        == "CnYiyDPmrgQnq8OF1G8dAg"
    )


def test_each_part_and_the_secret_count_and_parts_do_not_run_into_each_other() -> None:
    triples = list(product(["", "a", "1.a", "aa"], ["", "a", "1."], ["", "a", "é", "\ud800"]))
    secrets = [b"", b"s", b"s" * 65, b"s" * 66]
    digests = {UserKeys(secret).user_key(*triple) for triple in triples for secret in secrets}
    assert len(digests) == len(triples) * len(secrets)
    assert all(len(digest) == 22 for digest in digests)


def test_during_a_rotation_a_user_has_both_digests_and_the_marks_tell_no_secret() -> None:
    triple = ("shop", "_id", "lena")
    former, present = UserKeys(b"former"), UserKeys(b"present")
    rotating = UserKeys(b"present", b"former")
    both = both_digests(rotating.user_key(*triple))
    assert both == (present.user_key(*triple), former.user_key(*triple))
    assert both_digests(present.user_key(*triple)) == (present.user_key(*triple), "")
    assert rotating.marks == (present.marks.present, former.marks.present, True)
    assert both_digests(UserKeys(b"s", b"s").user_key(*triple))[1] == "", "no rotation"
    unkeyed = UserKeys(b"", b"present")
    assert not unkeyed.marks.is_keyed
    assert both_digests(unkeyed.user_key(*triple))[0] == UserKeys().user_key(*triple)


ADVERTISING_ID = "6D92078A-8246-4BA4-AE5B-76104861E7DC"


def _told(secret: bytes = b"s", kind: str = "user.updated", **user: Any) -> str:
    return UserKeys(secret).without_person(snapshot(kind, **{"id": ADVERTISING_ID} | user)).event_id


@pytest.mark.parametrize("kind", ["user.created", "user.updated", "user.deleted"])
def test_a_snapshot_is_called_by_a_digest_of_user_and_version(kind: str) -> None:
    told = _told(kind=kind)
    assert re.fullmatch("[0-9a-f]{32}", told)
    assert shown_id(told) == told, "the log shows it"
    assert told == _told(), "of each kind, and at each worker of the fleet"
    others = [
        *(_told(one) for one in (b"", b"other")),
        _told(version=5),
        _told(version=None),
        _told(version=None, updated_at="2026-03-02T08:15:31Z"),
        _told(id="device"),
        _told(organization_id="tailspin"),
        _told(regulation="cpra"),
    ]
    assert len({told, *others}) == len(others) + 1


@pytest.mark.parametrize("version", [None, "4", [[4]], {"a": 4}, True, 1e30])
def test_whatever_is_said_to_be_a_version_gives_a_digest(version: Any) -> None:
    assert re.fullmatch("[0-9a-f]{32}", _told(version=version, updated_at=7))


def test_the_user_stays_known_to_whom_the_state_is_kept_by() -> None:
    opened = snapshot(id=ADVERTISING_ID)
    called = UserKeys(b"s").without_person(opened)
    assert called._replace(event_id=ADVERTISING_ID) == opened
    assert called.entity["id"] == ADVERTISING_ID


SHOWN = "6f1c2f0e-1111-4222-8333-944455556666"
PERSONAL = (
    "lena@northwind.example",
    "1+jane%40x.org",
    "1++49 170 1234567",
    "1+Jane Doe",
    "491701234567",
    "x" * 65,
    "x" * 100_000,
    "\U0001f600",
)


def _called(event_id: str, secret: bytes = b"s", **changes: Any) -> str:
    return UserKeys(secret).without_person(envelope(id=event_id, **changes)).event_id


@pytest.mark.parametrize("event_id", ["ev-1", SHOWN, SHOWN.upper(), "0" * 31 + "a"])
def test_an_event_keeps_an_id_that_tells_of_nobody(event_id: str) -> None:
    assert _called(event_id) == event_id


@pytest.mark.parametrize(
    "user",
    [
        {"organization_user_id": "usr-778"},
        {"organization_user_id": " USR-778\n", "id": "another"},
        {"id": "usr-778"},
        {"id": None, "organization_user_id": "Usr-778"},
    ],
)
def test_an_id_that_is_its_persons_is_called_by_a_digest_and_by_the_id_of_before(
    user: dict[str, Any],
) -> None:
    keys = UserKeys(b"s")
    told = keys.without_person(envelope(id="usr-778", user=user))
    assert re.fullmatch("[0-9a-f]{32}", told.event_id)
    assert keys.other_ids(told) == ("usr-778",)
    assert _called("usr-779", user=user) == "usr-779"


@pytest.mark.parametrize("user", [None, 7, [], {}, {"id": 778}, {"id": ["usr-778"]}])
def test_whatever_a_user_is_an_event_is_called_by_its_id_or_by_a_digest(user: Any) -> None:
    assert _called("usr-778", user=user) == "usr-778"
    assert (_called("778", user=user) == "778") is (user != {"id": 778})


def _told_as(event_id: str, secret: bytes) -> str:
    return _told(secret, id=event_id)


def test_a_snapshot_without_an_id_stays_without() -> None:
    assert UserKeys(b"s").without_person(snapshot(id=None)).event_id == ""


@pytest.mark.parametrize("event_id", PERSONAL)
def test_an_event_with_any_other_id_is_called_by_a_digest(event_id: str) -> None:
    told = _called(event_id)
    assert re.fullmatch("[0-9a-f]{32}", told)
    assert told == _called(event_id), "at each worker of the fleet, and of each copy"
    assert told == _called(event_id, updated_at="2026-03-02T08:15:31Z"), "of each version"
    others = [
        _called(event_id, b"other"),
        _called(event_id, organization_id="tailspin"),
        _called(f"{event_id}."),
        _told(id=event_id),
    ]
    assert len({told, *others}) == len(others) + 1


@pytest.mark.parametrize(
    ("called", "event_id"), [(_called, "1+Jane Doe"), (_told_as, ADVERTISING_ID)]
)
def test_no_log_shows_a_digest_that_can_be_guessed(
    called: Callable[[str, bytes], str], event_id: str
) -> None:
    told = called(event_id, b"")
    assert shown_id(told) is None
    assert told == called(event_id, b"")
    assert len(told) < MAX_EVENT_ID
    assert event_id not in told


def test_a_log_names_no_user_by_a_digest_that_can_be_guessed() -> None:
    triple = ("shop", "_id", "lena")
    keyed, unkeyed = UserKeys(b"s").user_key(*triple), UserKeys().user_key(*triple)
    for secrets, told in (
        ((b"s",), keyed),
        ((b"",), None),
        ((b"s", b""), keyed),
        ((b"", b"s"), keyed),
    ):
        keys = UserKeys(*secrets)
        assert shown_user(keys.user_key(*triple), keys.marks) == told
    both = UserKeys(b"s", b"t")
    assert shown_user(both.user_key(*triple), both.marks) == both.user_key(*triple)
    assert shown_user(unkeyed, None) is None, "nobody knows by which secret"


def test_that_a_lone_surrogate_is_in_an_id_prevents_nothing() -> None:
    said = envelope()._replace(event_id="\ud800")
    assert re.fullmatch("[0-9a-f]{32}", UserKeys(b"s").without_person(said).event_id)
