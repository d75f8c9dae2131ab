"""Which dead letters are a person's own, and which speak of them among others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.examples import event_document, integration
from worker.delivery.bundles.bundle_format import pack
from worker.delivery.person_erasure import Person
from worker.ordering.user_digests import UserKeys

LENA = "lena@northwind.example"
LOWER = integration(
    identities={"email": {"normalisation": "lower", "namespace": "Email"}},
)
ORGANIZATION = LOWER.organization_id
HEADER = b"\x00\x3c\x00\x00" + b"%b" + b"\x00\x00"


def body(user: str, organization: str = ORGANIZATION, **changes: Any) -> bytes:
    document = event_document(
        organization_id=organization, user={"organization_user_id": user}, **changes
    )
    return json.dumps(document).encode()


def bundled(*bodies: bytes) -> bytes:
    return pack((HEADER.replace(b"%b", len(one).to_bytes(8, "big")), one) for one in bodies)


@pytest.mark.parametrize(
    ("letter", "concern"),
    [
        (body(LENA), "theirs"),
        (body(f" {LENA} "), "theirs"),
        (body(LENA.upper()), "theirs"),
        (body(f"x{LENA}"), "not theirs"),
        (body("somebody"), "not theirs"),
        (body(LENA, "another"), "theirs"),
        (body(LENA.upper(), "another"), "not theirs"),
        (body("4711", metadata={"email": LENA}), "theirs"),
        (b"[" + body(LENA) + b"," + body("emil") + b"]", "among others"),
        (b"[" + body(LENA) + b"]", "theirs"),
        (body(LENA)[:-1], "among others"),
        (b"\xff", "not theirs"),
        (b"[" * 900 + b"]" * 900, "not theirs"),
    ],
)
def test_a_letter_is_theirs_by_its_ids(letter: bytes, concern: str) -> None:
    person = Person([LENA], [LOWER], everywhere=True)
    assert person.concern_of({}, letter) == concern


def test_of_chosen_integrations_only_their_organizations_are_looked_at() -> None:
    person = Person([LENA], [LOWER], everywhere=False)
    assert person.concern_of({}, body(LENA)) == "theirs"
    assert person.concern_of({}, body(LENA, "another")) == "not theirs"


@pytest.mark.parametrize(
    ("bodies", "concern"),
    [
        ([LENA, LENA], "theirs"),
        ([LENA, "emil"], "among others"),
        (["emil", "emil"], "not theirs"),
    ],
)
def test_a_bundle_is_theirs_if_all_of_it_is(bodies: list[str], concern: str) -> None:
    person = Person([LENA], [LOWER], everywhere=True)
    bundle = bundled(*map(body, bodies))
    assert person.concern_of({"consent-bundle": len(bodies)}, bundle) == concern
    assert person.concern_of({"consent-bundle": 1}, body(LENA)) == "among others", "no bundle"


def test_the_state_is_asked_by_each_identifier_that_the_id_may_be() -> None:
    keys = UserKeys(b"secret")
    found = Person([LENA.upper()], [LOWER], everywhere=True).users(LOWER, keys)
    assert found == {keys.user_key(LOWER.id, "personalEmail.address", LENA)}
    assert Person(["4711"], [LOWER], everywhere=True).users(LOWER, keys) == set(), "no e-mail"
