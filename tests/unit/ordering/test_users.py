"""Users are called by a digest that says nothing about them."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from tests.unit.examples import envelope, snapshot
from worker.ordering.user_digests import UserKeys, both_digests
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


def test_an_event_keeps_its_own_id_and_a_snapshot_without_one_stays_without() -> None:
    keys = UserKeys(b"s")
    assert keys.without_person(envelope()).event_id == "ev-1"
    assert keys.without_person(snapshot(id=None)).event_id == ""
