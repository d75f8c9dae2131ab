"""The JSON Schema for editors, held against the loader: it takes all that the loader takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from devtools.examples import integration_document
from tests.unit.integrations.test_round_trip import documents
from tests.unit.integrations.test_wrong_fields import WRONG
from worker.integrations.file_schema import integration_schema

SCHEMA = integration_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").rglob("*.json"))
BEYOND_IT = (
    *("regulation", "consent-val", "slash", "pointer", "blank", "width", "place in", "two dots"),
    *(
        "placeholder",
        "hash",
        "Didomi",
        "inlet",
        "endpoint",
        "reference",
        "one ",
        "braces",
        "secret",
    ),
    *("target", "identity", "time", "text as", "choice as", "step", "as it is", "constant"),
    *("nothing to send", "confirmed", "variable", "taken back", "take a choice back", "emptied"),
)
"""What only the loader can know: how parts fit together, what a text means, where it leads."""


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@settings(max_examples=60)
@given(documents())
def test_what_the_loader_takes_it_takes(document: dict[str, Any]) -> None:
    """The loader takes every one of these, as test_round_trip shows."""
    VALIDATOR.validate(document)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_takes_the_integrations_that_are_shipped_and_no_events(path: Path) -> None:
    document = json.loads(path.read_text())
    assert VALIDATOR.is_valid(document) is ("type_id" in document)


@pytest.mark.parametrize("changes", [pytest.param(changes, id=name) for name, changes, _ in WRONG])
def test_what_it_refuses_it_refuses_for_a_reason_of_the_loader(changes: dict[str, Any]) -> None:
    """All of these are refused by the loader; an editor marks those whose form is wrong."""
    name = next(name for name, one, _ in WRONG if one is changes)
    is_beyond = any(word in name for word in BEYOND_IT)
    assert VALIDATOR.is_valid(integration_document(**changes)) is is_beyond


@pytest.mark.parametrize(
    "changes",
    [
        {"$schema": "./integration.schema.json"},
        {"properties": integration_document()["properties"] | {"user_identifier": "personID"}},
        {"authentication": {"client_id": "file:a b", "client_secret": "${S}", "api_key": "${K}"}},
    ],
)
def test_it_takes_what_stands_in_files_only(changes: dict[str, Any]) -> None:
    VALIDATOR.validate(integration_document(**changes))


def test_a_file_without_id_is_fine() -> None:
    document = integration_document()
    del document["id"]
    VALIDATOR.validate(document)


def test_fields_are_described_to_whom_an_editor_shows_them() -> None:
    for section, name in (("Mapping", "pending"), ("Limits", "events_held")):
        assert SCHEMA["$defs"][section]["properties"][name]["description"]
    assert SCHEMA["properties"]["regulations"]["description"].endswith("others are skipped.")
