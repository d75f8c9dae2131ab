"""Secrets in integrations, in the environment and in settings, in right places and wrong ones."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from devtools.examples import integration_document
from tests.unit.examples import integration
from tests.unit.privacy.conftest import EMAIL, MARKER, places, put
from worker.integrations.loading import InvalidIntegration, load_integration
from worker.integrations.secret_references import SecretSource
from worker.settings import WorkerSettings

FULL = integration_document(
    enabled=True,
    payload_mode="upsert",
    events="event",
    regulations=["gdpr"],
    authenticated=True,
    identities={"email": {"location": "field", "normalisation": "trim"}},
    limits={"requests_in_flight": 3},
    merge_policy_id="policy",
)


@pytest.mark.parametrize("wrong", [[MARKER], {"a": MARKER}, f" {MARKER} \n", MARKER, [[EMAIL]]])
@pytest.mark.parametrize("place", list(places(FULL)), ids=lambda place: ".".join(map(str, place)))
def test_what_is_put_into_a_wrong_place_of_an_integration_is_not_quoted(
    tmp_path: Path, place: tuple[str | int, ...], wrong: Any, written: io.StringIO
) -> None:
    document = json.loads(json.dumps(FULL))
    put(document, place, wrong)
    path = tmp_path / "file.json"
    path.write_text(json.dumps(document))
    try:
        said = repr(load_integration(path, SecretSource({}), lambda _: None).authentication)
    except InvalidIntegration as problem:
        structlog.get_logger().error("integrations.invalid", detail=str(problem))
        said = str(problem) + repr(problem.integration_id)
        if place == ("organization_id",):
            said = str(problem)  # whose it is stays known, for routing
    if place == ("id",) and wrong == MARKER:
        said = ""  # a fine id
    assert MARKER not in said + written.getvalue()


@pytest.mark.parametrize(
    "authentication",
    [
        pytest.param({"client_secret": "${PLACE}"}, id="secret"),
        pytest.param({"client_id": "${PLACE} x"}, id="in a client id with a blank"),
        pytest.param({"api_key": "${PLACE}${ABSENT}"}, id="beside a variable that is not set"),
        pytest.param({"client_secret": "file:secret", "api_key": ""}, id="of a file"),
        pytest.param({"extra": "${PLACE}"}, id="in an unknown field"),
    ],
)
def test_a_secret_of_the_environment_or_a_file_is_not_quoted(
    tmp_path: Path, authentication: dict[str, str]
) -> None:
    (tmp_path / "secret").write_text(MARKER)
    known = integration_document()["authentication"]
    path = tmp_path / "shop.json"
    document = integration_document(authentication=known | authentication)
    path.write_text(json.dumps(document | {"upsert_mode": 7}))
    with pytest.raises(InvalidIntegration) as refused:
        load_integration(path, SecretSource({"PLACE": MARKER}), lambda _: None)
    assert MARKER not in str(refused.value)


def test_a_valid_integration_shows_no_secret_in_any_form() -> None:
    secrets = dict.fromkeys(("client_secret", "second_client_secret", "api_key"), MARKER)
    loaded = integration(authentication={"client_id": "c"} | secrets)
    assert MARKER not in f"{loaded} {loaded!r} {loaded.model_dump()} {loaded.model_dump_json()}"
    named = integration(authentication={"client_id": MARKER, "client_secret": "s", "api_key": "k"})
    assert MARKER not in f"{named} {named!r}"


@pytest.mark.parametrize("name", WorkerSettings.model_fields)
def test_what_is_put_into_a_wrong_setting_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"CONSENT_WORKER_{name.upper()}", f"amqp://u:{MARKER}#@h:x/")
    try:
        said = repr(WorkerSettings().amqp_url)
    except ValueError as problem:
        said = str(problem)
    assert MARKER not in said
