"""Users are called by a digest that says nothing about them."""

from __future__ import annotations

from itertools import product

from worker.ordering.users import UserKeys


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
