"""What an integration needs so that records of single choices stay whole, and what it is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from devtools.examples import integration_document
from tests.unit.examples import integration
from worker.integrations.coherence import Surroundings
from worker.integrations.mistake_sentences import sentences_of
from worker.integrations.model import Integration
from worker.integrations.told_mode import UnfitMode, in_mode

LASTS = Surroundings(has_lasting_state=True, has_secret=True)
WITHOUT_SECRET = Surroundings(has_lasting_state=True, has_secret=False)
IN_MEMORY = Surroundings(has_lasting_state=False, has_secret=True)
BY_ID = {"properties": integration_document()["properties"] | {"user_identifier": ["id"]}}
NAMED = {"identities": {"id": {"namespace": "CRMID"}}}
EMPTY = {"dataset_starts_empty": True}


def load(surroundings: Surroundings, **changes: Any) -> Integration:
    document = integration_document(**{"payload_mode": "xdm"} | changes)
    return Integration.model_validate(document, context=surroundings)


@pytest.mark.parametrize("changes", [{}, EMPTY, BY_ID | EMPTY, BY_ID | NAMED])
def test_single_choices_are_completed_where_all_is_there(changes: dict[str, Any]) -> None:
    loaded = load(LASTS, **changes)
    assert loaded.completes
    assert loaded.may_look_up == (changes != BY_ID | EMPTY)


@pytest.mark.parametrize(
    ("surroundings", "changes", "field", "remedy"),
    [
        (IN_MEMORY, EMPTY, "payload_mode", "set CONSENT_WORKER_STATE_URL to a file or to Redis"),
        (WITHOUT_SECRET, EMPTY, "payload_mode", "set CONSENT_WORKER_ORDERING_SECRET"),
        (LASTS, BY_ID, "identities.id.namespace", "Or set dataset_starts_empty to true"),
    ],
)
def test_what_lacks_is_said_with_what_would_be_erased(
    surroundings: Surroundings, changes: dict[str, Any], field: str, remedy: str
) -> None:
    with pytest.raises(ValidationError) as wrong:
        load(surroundings, **changes)
    ((sentence,), _) = sentences_of(wrong.value, 10)
    assert sentence.startswith(f"{field}: ")
    assert "would erase the others" in sentence
    assert remedy in sentence


@pytest.mark.parametrize("surroundings", [LASTS, WITHOUT_SECRET, IN_MEMORY])
def test_snapshots_are_valid_with_any_state_and_complete_nothing(
    surroundings: Surroundings,
) -> None:
    loaded = load(surroundings, events="user")
    assert not loaded.completes
    warned = [one for one in loaded.warnings if one.startswith("payload_mode: ")]
    assert bool(warned) == (surroundings is IN_MEMORY)
    assert all("several devices of one person erase each other's choices" in one for one in warned)


def test_auto_is_warned_of_what_may_be_found_and_upsert_of_nothing() -> None:
    (warning,) = load(IN_MEMORY, payload_mode="auto", events="user").warnings
    assert warning.endswith("(if the inlet turns out to be XDM-compatible)")
    absent = [{"id": "_acme.news", "value": "consents_purposes_news_enabled", "absent": False}]
    assert load(IN_MEMORY, payload_mode="upsert", events="user", mappings=absent).warnings == []


def test_what_auto_finds_is_judged_by_what_is_around_its_worker() -> None:
    assert in_mode(load(LASTS, payload_mode="auto"), "xdm").completes
    with pytest.raises(UnfitMode, match="CONSENT_WORKER_STATE_URL"):
        in_mode(load(IN_MEMORY, payload_mode="auto"), "xdm")


@pytest.mark.parametrize("mode", ["upsert", "xdm"])
def test_what_auto_finds_is_as_if_the_file_said_it(mode: Any) -> None:
    automatic = integration(payload_mode="auto", events="user", mappings=_WITH_ABSENT)
    written = integration(payload_mode=mode, events="user", mappings=_WITH_ABSENT)
    assert automatic.identity_rules  # worked out of the fields, and no field
    assert in_mode(automatic, mode) == written


_WITH_ABSENT = [{"id": "_acme.news", "value": "consents_purposes_news_enabled", "absent": False}]


def test_snapshots_without_absent_fit_no_raw_inlet() -> None:
    mappings = [{"id": "_acme.news", "value": "consents_purposes_news_enabled"}]
    automatic = integration(payload_mode="auto", events="user", mappings=mappings)
    with pytest.raises(UnfitMode, match="absent"):
        in_mode(automatic, "upsert")
