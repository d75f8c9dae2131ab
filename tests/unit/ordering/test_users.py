"""Users are called by a digest that says nothing about them."""

from __future__ import annotations

from itertools import product

from worker.ordering.users import UserKeys, both_digests


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
