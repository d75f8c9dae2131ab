"""The profile look-up: what is asked, and how long an answer is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.examples import integration
from worker.adobe.profile_lookup import (
    FOUND_SECONDS,
    MAX_REMEMBERED,
    NOT_FOUND_SECONDS,
    KnownContacts,
    lookup_params,
    platform_headers,
)
from worker.transform.decision_types import Identity

ELSEWHERE = integration().properties.model_copy(update={"organization_id": "B@AdobeOrg"})
LENA = Identity("email", "lena@b.example", "personalEmail.address", "Email", False)


def test_an_identity_in_the_identity_map_is_asked_for_there() -> None:
    params = lookup_params(integration(), LENA._replace(in_identity_map=True))
    assert params["fields"] == "identityMap"
    assert (params["entityIdNS"], params["entityId"]) == ("Email", "lena@b.example")
    assert "mergePolicyId" not in params


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("upsert", "identityMap"),
        ("auto", "identityMap"),
        ("xdm", "personalEmail.address,identityMap"),
    ],
)
def test_only_where_a_path_is_a_field_of_xdm_it_is_asked_for(mode: str, fields: str) -> None:
    """At a raw inlet it is a name of the source, of which Adobe's profiles know nothing."""
    target = integration(payload_mode=mode, events="event" if mode == "upsert" else "user")
    assert lookup_params(target, LENA)["fields"] == fields


def test_without_a_sandbox_name_it_is_the_production_one() -> None:
    assert platform_headers(integration(), None)["x-sandbox-name"] == "prod"


@pytest.mark.parametrize(
    ("exists", "seconds"),
    [
        pytest.param(True, FOUND_SECONDS, id="found"),
        pytest.param(False, NOT_FOUND_SECONDS, id="not found"),
    ],
)
def test_an_answer_is_remembered_for_its_time(exists: bool, seconds: float) -> None:
    now = 0.0
    known = KnownContacts(lambda: now)
    shop = integration()
    assert known.recall(shop, LENA) is None
    known.remember(shop, LENA, exists)
    now = seconds - 1
    assert known.recall(shop, LENA) is exists
    now = seconds
    assert known.recall(shop, LENA) is None


def test_answers_of_other_integrations_namespaces_and_people_are_not_mixed_up() -> None:
    known = KnownContacts()
    known.remember(integration(), LENA, True)
    assert known.recall(integration(id="press"), LENA) is None
    assert known.recall(integration(), LENA._replace(namespace="CRM")) is None
    assert known.recall(integration(), LENA._replace(value="max@b.example")) is None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sandbox_name": "stage"}, id="sandbox"),
        pytest.param({"merge_policy_id": "m-2"}, id="merge policy"),
        pytest.param({"properties": ELSEWHERE}, id="organization"),
    ],
)
@pytest.mark.parametrize("exists", [True, False])
def test_an_answer_is_not_that_of_another_place_of_the_integration(
    changes: dict[str, Any], exists: bool
) -> None:
    known = KnownContacts()
    before = integration()
    known.remember(before, LENA, exists)
    after = before.model_copy(update=changes)
    assert known.recall(after, LENA) is None
    assert known.recall(before, LENA) is exists


def test_an_answer_lasts_through_a_change_that_does_not_touch_the_place() -> None:
    known = KnownContacts()
    known.remember(integration(), LENA, True)
    assert known.recall(integration(sandbox_name="prod", paused=True), LENA) is True


def test_no_more_than_a_bounded_number_is_remembered_and_the_oldest_goes() -> None:
    known = KnownContacts(lambda: 0.0)
    shop = integration()
    people = [LENA._replace(value=str(number)) for number in range(MAX_REMEMBERED)]
    for one in people:
        known.remember(shop, one, True)
    known.remember(shop, people[0], True)
    known.remember(shop, LENA, True)
    assert known.recall(shop, people[0]) is True, "asked again, so no longer the oldest"
    assert known.recall(shop, people[1]) is None
    assert known.recall(shop, people[2]) is True


def test_nothing_personal_is_remembered() -> None:
    known = KnownContacts()
    known.remember(integration(), LENA, True)
    assert "lena" not in repr(vars(known))
