"""Configuration: what is refused, with which words, and what a reload keeps."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest

from devtools.examples import integration_document
from worker.adobe.endpoints import EndpointPolicy
from worker.integrations.integration_fields import MOST_MAPPINGS
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.loading import InvalidIntegration, InvalidIntegrations, load_integration
from worker.integrations.secret_references import SecretSource

CHECK = EndpointPolicy(("dcs.adobedc.net",)).problem
NOTHING = SecretSource({})


def _write(directory: Path, name: str = "shop", **changes: Any) -> Path:
    path = directory / f"{name}.json"
    path.write_text(json.dumps(integration_document(**changes)))
    return path


def _auth(**changes: Any) -> dict[str, Any]:
    return {"authentication": integration_document()["authentication"] | changes}


def _props(**changes: Any) -> dict[str, Any]:
    return {"properties": integration_document()["properties"] | changes}


def _map(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"mappings": [{"id": key, "value": value} for key, value in pairs]}


NEWS = "consents_purposes_news_enabled"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type_id": "sendinblue"}, "type_id"),
        ({"mapings": []}, "mapings: unknown field, did you mean mappings?"),
        (_auth(client_secret=""), "authentication.client_secret: must not be empty"),
        (_auth(client_secret="${NOT_SET}"), "environment variable NOT_SET is not set"),
        (_auth(api_key="file:nowhere"), "authentication.api_key: the file"),
        (
            {"limits": {"requests_per_second": 1e-300}},
            "limits.requests_per_second: ",
        ),
        ({"limits": {"requests_per_second": 0.099}}, "must be at least 0.1"),
        (_props(user_identifier=[]), "properties.user_identifier"),
        (_props(user_identifier=["phone"]), "properties.user_identifier"),
        (_props(user_identifier=["email", "email"]), "twice"),
        (_props(dataflow_endpoint="http://dcs.adobedc.net/x"), "https://"),
        (_props(dataflow_endpoint="https://evil.example/x"), "not on the allow-list"),
        (_props(dataset_id=None), "properties.dataset_id"),
        (_map(("a", "consents_purposes_news")), "can never match"),
        (_map(("a", "consents_purposes__enabledx")), "can never match"),
        (_map(("a", "consent_purposes_x_enabled")), "can never match"),
        (_map(("a..b", NEWS)), "single dots"),
        (_map(("a", NEWS), ("a", NEWS)), "two entries write to 'a'"),
        (
            {"mappings": [{"id": f"a{i}", "constant": "x" * 1_000} for i in range(70)]},
            "mappings: constant, pending, empty and absent of all entries together have more than",
        ),
        (_map(("a", NEWS), ("a.b", NEWS)), "can't both be written"),
        (_map(("personalEmail.address", NEWS)), "carries the identity"),
        ({"mappings": []}, "mappings"),
        ({"id": "a b"}, "id: must be letters, digits"),
        ({"organization_id": "o" * 257}, "organization_id: must be at most 256 characters"),
        ({"enabled": "yes"}, "enabled: must be true or false, without quotation marks"),
        ({"regulations": []}, "regulations"),
        ({"authentication": []}, "authentication: "),
        ({"authentication": None}, "authentication: "),
        (_auth(api_key=7), "authentication.api_key: must be a text in quotation marks"),
        (_auth(secret="x"), "authentication.secret: unknown field, did you mean client_secret?"),
        (_props(xyz=1), "properties.xyz: unknown field; allowed are organization_id, "),
        ({"limits": {"requests_in_flight": 0}}, "limits.requests_in_flight: "),
        ({"identities": {"phone": {}}}, "identities.phone"),
        ({"identities": {"email": {"path": "a..b"}}}, "identities.email.path: must be names"),
        ({"identities": {"email": {"pth": "a"}}}, "identities.email.pth: unknown field, did you"),
        (
            {"identities": {"personID": {"location": "identity-map"}}}
            | _props(user_identifier=["personID"]),
            "identities.personID.namespace: is required for location identity-map",
        ),
        (
            {"identities": {"email": {"location": "identity-map"}}} | _map(("identityMap.X", NEWS)),
            "mappings: identityMap carries the identity 'email'",
        ),
        ({"event_time_path": "_acme.news"}, "event_time_path: collides"),
        ({"event_time_path": "_acme"}, "event_time_path: collides"),
        ({"event_time_path": "personalEmail.address.at"}, "event_time_path: collides"),
        ({"event_time_path": "a..b"}, "event_time_path: must be names"),
        ({"payload_mode": "xdm"}, "erase the others"),
        (
            {"upsert_mode": False} | _props(user_identifier=["personID"]),
            "identities.personID.namespace: is required when upsert_mode is false",
        ),
        (
            {"mappings": [{"id": "a", "value": "country", "format": "consent-val"}]},
            "consent-val needs",
        ),
    ],
)
def test_every_mistake_is_named_with_file_and_field(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = _write(tmp_path, **changes)
    with pytest.raises(InvalidIntegration) as caught:
        load_integration(path, NOTHING, CHECK)
    assert said in str(caught.value)
    assert "shop.json" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_identities_within_each_other_are_no_matter_of_the_time_path(tmp_path: Path) -> None:
    """A message has one of them, so they may be."""
    changes = {
        "identities": {"id": {"path": "_own.key"}, "personID": {"path": "_own.key.person"}},
        "event_time_path": "_audit.at",
    } | _props(user_identifier=["id", "personID"])
    loaded = load_integration(_write(tmp_path, **changes), NOTHING, CHECK)
    assert loaded.event_time_path == "_audit.at"


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_file_that_is_no_object_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InvalidIntegration, match=r"bad\.json"):
        load_integration(path, NOTHING, CHECK)


def test_secrets_come_from_variables_and_files_and_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    path = _write(tmp_path, **_auth(client_secret="${SECRET}", api_key="file:key"))
    loaded = load_integration(path, SecretSource({"SECRET": "from-env"}), CHECK)
    assert loaded.authentication.client_secret.get_secret_value() == "from-env"
    assert loaded.authentication.api_key.get_secret_value() == "from-file"
    assert "from-" not in repr(loaded)


def test_the_id_defaults_to_the_files_name_and_a_string_is_a_list_of_one(tmp_path: Path) -> None:
    document = integration_document(**_props(user_identifier="personID"))
    del document["id"]
    path = tmp_path / "acme.json"
    path.write_text(json.dumps(document))
    loaded = load_integration(path, NOTHING, CHECK)
    assert (loaded.id, loaded.properties.user_identifier) == ("acme", ["personID"])


@pytest.mark.parametrize(
    ("mappings", "is_fine"), [(MOST_MAPPINGS, True), (MOST_MAPPINGS + 1, False)]
)
def test_more_mappings_than_redis_can_take_are_refused_at_load(
    tmp_path: Path, mappings: int, is_fine: bool
) -> None:
    path = _write(tmp_path, **_map(*((f"_acme.a{n}", NEWS) for n in range(mappings))))
    if is_fine:
        assert len(load_integration(path, NOTHING, CHECK).mappings) == mappings
        return
    with pytest.raises(
        InvalidIntegration, match="mappings: must have at most 1,000 entries, and has 1,001"
    ):
        load_integration(path, NOTHING, CHECK)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(_map((".".join("a" * 65), NEWS)), "at most 64 names deep", id="deep path"),
        pytest.param(_map(("_acme" + ".m9cme" * 90, NEWS)), "at most 64 names", id="names"),
        pytest.param(_map(("a" * 1025, NEWS)), "at most 1024 characters", id="long path"),
        pytest.param(
            _map(("a", "consents_purposes_" + "_values_x" * 300_000)), "at most 1024", id="value"
        ),
        pytest.param({"a" * 3_000_000: 1}, "unknown field", id="long name of a field"),
        pytest.param({f"f{n}": 1 for n in range(5_000)}, "and 4980 more problems", id="many"),
        pytest.param({f"f{n}": 1 for n in range(50_000)}, "more than 10000 values", id="too many"),
        pytest.param({"\x1b[2J\nshop": 1}, "\\x1b[2J\\nshop: unknown field", id="escape"),
        pytest.param(_auth(api_key="k\nx-evil: 1"), "holds a line break", id="header"),
    ],
)
def test_a_hostile_file_is_refused_at_once_and_in_few_words(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = _write(tmp_path, **changes)
    with pytest.raises(InvalidIntegration) as caught:
        load_integration(path, NOTHING, CHECK)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 10_000
    assert "\x1b" not in str(caught.value)


def test_a_file_that_is_larger_than_any_integration_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of holes
    with pytest.raises(InvalidIntegration, match="is larger than 4194304 bytes"):
        load_integration(path, NOTHING, CHECK)


def test_a_file_that_stays_wrong_may_be_read_again_and_again(tmp_path: Path) -> None:
    path = _write(tmp_path, regulations=["GDPR"])

    def kept() -> int:
        """Readings that are still in memory, each of which would have the file with its secrets."""
        gc.collect()
        return sum(isinstance(one, InvalidIntegration) for one in gc.get_objects())

    before = kept()
    for _ in range(5):
        with pytest.raises(InvalidIntegration, match="regulations"):
            load_integration(path, NOTHING, CHECK)
    assert kept() == before


def test_a_fault_of_the_worker_s_own_is_that_file_s_only(tmp_path: Path) -> None:
    def check(_: str) -> str | None:
        raise RecursionError

    with pytest.raises(InvalidIntegration, match=r"can't be understood \(RecursionError\)"):
        load_integration(_write(tmp_path), NOTHING, check)


def test_the_name_of_a_file_writes_nothing_but_itself_to_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\n.json"
    path.write_text("{")
    with pytest.raises(InvalidIntegration) as caught:
        load_integration(path, NOTHING, CHECK)
    assert str(caught.value).partition("a\\x1b[2J\\n.json: is not JSON (line 1, column 2)")[1]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "enabled"),
        ({"paused": True}, "paused"),
        ({"enabled": False}, "disabled"),
        ({"enabled": False, "paused": True}, "disabled"),
    ],
)
def test_an_integration_has_one_of_three_states(
    tmp_path: Path, changes: dict[str, Any], state: str
) -> None:
    assert load_integration(_write(tmp_path, **changes), NOTHING, CHECK).state == state


def test_a_start_without_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidIntegrations, match="not a directory"):
        IntegrationRegistry(tmp_path / "nowhere", CHECK, {}).load()


def test_a_disabled_integration_gets_no_events(tmp_path: Path) -> None:
    _write(tmp_path, enabled=False)
    registry = IntegrationRegistry(tmp_path, CHECK, {})
    registry.load()
    assert registry.for_organization("northwind") == []
    assert registry.get("shop") is not None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://dcs.adobedc.net/collection/1", None),
        ("https://eu.adobedc.net/collection/1", None),
        ("https://local.example:8443/x", None),
        ("https://dcs.adobedc.net:8443/x", "allow-list"),
        ("https://adobedc.net.evil.example/x", "allow-list"),
        ("https://user:pw@dcs.adobedc.net/x", "user name"),
        ("http://dcs.adobedc.net/x", "https://"),
        ("ftp://dcs.adobedc.net/x", "https://"),
        ("https://127.0.0.1/x", "private"),
        ("not a url", "https://"),
    ],
)
def test_the_allow_list(url: str, problem: str | None) -> None:
    hosts = ("dcs.adobedc.net", "*.adobedc.net", "local.example:8443", "127.0.0.1")
    said = EndpointPolicy(hosts).problem(url)
    assert (said is None) if problem is None else (said is not None and problem in said)


def _with_text(directory: Path, old: str, new: str) -> Path:
    path = _write(directory, paused=True, limits={"events_held": 5})
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"paused": true', '"paused": true, "paused": false', "paused"),
        ('"paused": true', '"paused": true, "paused": true', "paused"),
        ('"paused": true', '"paused": true, "pa\\u0075sed": false', "paused"),
        ('"events_held": 5', '"events_held": 5, "events_held": 9', "limits.events_held"),
        ('"client_id": ', '"client_id": "hush", "client_id": ', "authentication.client_id"),
        ('"mappings": [{', '"mappings": [{"id": "x", ', "mappings.1.id"),
        ('"limits": {', '"limits": {"events_held": 7}, "limits": {', "limits"),
    ],
)
def test_a_key_that_is_there_twice_is_a_mistake(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    path = _with_text(tmp_path, old, new)
    with pytest.raises(InvalidIntegration) as caught:
        load_integration(path, NOTHING, CHECK)
    assert caught.value.problems == [f"{key}: is there more than once: take one out"]
    assert caught.value.organization_id == "northwind"
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("id", "shop"), ("organization_id", "northwind")])
def test_whose_a_file_is_that_says_it_twice_is_unknown(
    tmp_path: Path, key: str, value: str
) -> None:
    said = f'"{key}": "{value}"'
    path = _with_text(tmp_path, said, f'"{key}": "other", {said}')
    with pytest.raises(InvalidIntegration) as caught:
        load_integration(path, NOTHING, CHECK)
    assert caught.value.problems == [f"{key}: is there more than once: take one out"]
    unknown = {"id": caught.value.integration_id, "organization_id": caught.value.organization_id}
    assert unknown[key] is None


def test_a_file_that_is_nested_too_deep_still_tells_its_organization(tmp_path: Path) -> None:
    deep = "[" * 1000 + "]" * 1000
    path = _with_text(tmp_path, '"paused": true', f'"paused": {deep}')
    with pytest.raises(InvalidIntegration) as caught:
        load_integration(path, NOTHING, CHECK)
    assert caught.value.problems[0] == "is nested too deep"
    assert caught.value.organization_id == "northwind"
