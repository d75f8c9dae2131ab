"""For any integration whatever: what is read is what was written, and mistakes are named."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.integrations.loading import InvalidIntegration, load_integration
from worker.integrations.model import Integration
from worker.integrations.secret_references import SecretSource

MARKER = "PLANTED"
MASK = "**********"

NAMES = st.text("abcXYZ019-_", min_size=1, max_size=12)
TOKENS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda steps: "_own." + ".".join(steps))
SECRETS = NAMES.map(lambda name: f"{MARKER}-{name}")
FEWER = settings(max_examples=40)  # each one writes a file
IDENTIFIERS = ("email", "id", "personID")
VALUES = st.one_of(
    st.sampled_from(["organization_user_id", "country", "last_seen_country"]),
    NAMES.map(lambda name: f"metadata_{name}"),
    NAMES.map(lambda name: f"consents_purposes_{name}_enabled"),
    NAMES.map(lambda name: f"consents_purposes_{name}_values_{name}_value"),
    NAMES.map(lambda name: f"consents_channels_{name}_enabled"),
)


def _is_plain(text: str) -> bool:
    """Whether a value is no reference, which is resolved, or refused, when loading."""
    return "${" not in text and not text.startswith(("file:", "$"))


LITERALS = TOKENS.filter(_is_plain)
WORDS = TEXTS.filter(_is_plain)


def _optional(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=optional)


OF_CHOICES = ["as-is", "boolean", "inverted", "consent-val", "y-n", "text", ["inverted", "y-n"]]
OF_TEXTS = ["as-is", "boolean", "text", "list", "contains:a b", ["contains:x", "consent-val"]]


SAID_INSTEAD = ["none", 7, False, ["x"]]


@st.composite
def mappings(draw: st.DrawFn, *, are_snapshots: bool) -> list[dict[str, Any]]:
    """Paths of one depth, so that none lies inside another."""
    names = draw(st.lists(NAMES.filter(lambda name: name != "val"), min_size=1, unique=True))
    entries: list[dict[str, Any]] = []
    for name in names[:4]:
        entry: dict[str, Any] = {"id": f"_acme.{name}", "value": draw(VALUES)}
        if draw(st.booleans()):
            fits = OF_CHOICES if entry["value"].endswith("_enabled") else OF_TEXTS
            entry["format"] = draw(st.sampled_from(fits))
        elif draw(st.booleans()):
            entry["constant"] = draw(st.sampled_from(["x", 7, 0.5, True]))
        if draw(st.booleans()):
            entry["time_path"] = f"_times.{name}"
        steps = entry.get("format", "as-is")
        instead = [{"val": "x"}] if "consent-val" in (steps, steps[-1]) else SAID_INSTEAD
        if are_snapshots and (entry["value"].startswith("consents_") or draw(st.booleans())):
            entry["absent"] = draw(st.sampled_from(instead))
        is_choice = entry["value"].endswith("_enabled")
        if not is_choice and "contains:" not in str(steps) and draw(st.booleans()):
            entry["empty"] = draw(st.sampled_from(instead))
        entries.append(entry)
    return entries


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid integration in Didomi's form, with any of the optional properties."""
    identity = _optional(
        {"namespace": WORDS},
        {
            "path": PATHS,
            "location": st.sampled_from(["field", "identity-map"]),
            "normalisation": st.sampled_from(["trim", "lower", "sha256"]),
        },
    )
    events = draw(st.sampled_from(["event", "user"]))
    payload_modes = ["upsert", "xdm"] if events == "user" else ["upsert"]
    document: dict[str, Any] = draw(
        _optional(
            {
                "id": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
                "organization_id": WORDS,
                "type_id": st.just("adobe-experience-cloud"),
                "authentication": _optional(
                    {
                        "client_id": LITERALS,
                        "client_secret": SECRETS,
                        "api_key": SECRETS,
                    },
                    {"second_client_secret": SECRETS, "scopes": WORDS},
                ),
                "properties": st.fixed_dictionaries(
                    {
                        "organization_id": NAMES.map(lambda name: f"{name}@AdobeOrg"),
                        "dataflow_endpoint": NAMES.map(
                            lambda name: f"https://dcs.adobedc.net/collection/{name}"
                        ),
                        "dataflow_id": LITERALS,
                        "schema_id": LITERALS,
                        "dataset_id": LITERALS,
                        "user_identifier": st.lists(
                            st.sampled_from(IDENTIFIERS), min_size=1, unique=True
                        ),
                    }
                ),
                "mappings": mappings(are_snapshots=events == "user"),
                "identities": st.fixed_dictionaries(dict.fromkeys(IDENTIFIERS, identity)),
            },
            {
                "enabled": st.booleans(),
                "upsert_mode": st.booleans(),
                "regulations": st.lists(
                    st.text("abcxyz", min_size=1, max_size=6), min_size=1, max_size=3
                ),
                "source_name": WORDS,
                "sandbox_name": LITERALS,
                "authenticated": st.booleans(),
                "schema_content_type": WORDS,
                "merge_policy_id": LITERALS,
                "identity_dataset_id": LITERALS,
                "event_time_path": NAMES.map(lambda name: f"_audit.{name}"),
                "limits": _optional(
                    {},
                    {
                        "requests_in_flight": st.integers(1, 256),
                        "messages_per_request": st.integers(1, 1000),
                        "events_held": st.integers(1, 2000),
                        "requests_per_second": st.floats(0.1, 10_000),
                        "profile_gap_seconds": st.floats(0, 60),
                    },
                ),
            },
        )
    )
    document |= {"events": events, "payload_mode": draw(st.sampled_from(payload_modes))}
    document["identities"]["email"].setdefault("path", "_own.email")
    if events == "event" and draw(st.booleans()):
        first = document["mappings"][0]
        is_object = "consent-val" in str(first.get("format"))
        first["pending"] = {"val": "p"} if is_object else "p"
    return document


def _load(document: Any, check: Callable[[str], str | None] = lambda _: None) -> Integration:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "shop.json"
        path.write_text(json.dumps(document))
        return load_integration(path, SecretSource({}), check)


def _with_secrets(dumped: dict[str, Any], integration: Integration) -> dict[str, Any]:
    """A dump holds masks; only who has the integration can put the secrets back."""
    authentication = integration.authentication
    for name, value in dumped["authentication"].items():
        if value == MASK:
            dumped["authentication"][name] = getattr(authentication, name).get_secret_value()
    return dumped


@FEWER
@given(documents())
def test_what_is_dumped_is_read_back_and_holds_no_secret(document: dict[str, Any]) -> None:
    integration = _load(document)
    text = integration.model_dump_json()
    assert MARKER not in text
    assert MARKER not in repr(integration)
    assert _load(_with_secrets(json.loads(text), integration)) == integration


@FEWER
@given(documents())
def test_every_property_that_was_given_is_in_force(document: dict[str, Any]) -> None:
    integration = _load(document)
    dumped = _with_secrets(json.loads(integration.model_dump_json()), integration)

    def is_within(given_part: Any, part: Any) -> bool:
        if isinstance(given_part, dict):
            return all(is_within(value, part[name]) for name, value in given_part.items())
        if isinstance(given_part, list):
            return len(given_part) == len(part) and all(map(is_within, given_part, part))
        return bool(given_part == part)

    assert is_within(document, dumped)


def _places(node: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value of a document."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    return [at] * bool(at) + [hit for key, one in items for hit in _places(one, (*at, key))]


def _shown(place: tuple[str | int, ...]) -> str:
    """As a sentence names it: entries of lists are counted from 1."""
    return ".".join(str(step + 1) if isinstance(step, int) else step for step in place)


def _is_judged(place: tuple[str | int, ...]) -> bool:
    """Whether the loader has an opinion of what stands there, and does not send it as it is."""
    return not {"constant", "pending", "empty", "absent"} & set(place)


def _changed(
    document: Any, place: tuple[str | int, ...], change: Callable[[Any, Any], None]
) -> Any:
    changed = copy.deepcopy(document)
    parent = changed
    for step in place[:-1]:
        parent = parent[step]
    change(parent, place[-1])
    return changed


def _refusal(document: Any) -> str:
    with pytest.raises(InvalidIntegration) as refused:
        _load(document)
    text = str(refused.value)
    assert all("shop.json: " in line for line in text.splitlines())
    assert MARKER not in text
    return text


@FEWER
@given(documents(), st.data())
def test_a_value_of_a_wrong_type_is_named_by_its_field(
    document: dict[str, Any], data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from([one for one in _places(document) if _is_judged(one)]))
    wrongs: list[Any] = [{"novelty": MARKER}, [[MARKER]], 4.5]
    if place[-1] in {"requests_per_second", "profile_gap_seconds"}:
        wrongs[-1] = MARKER
    wrong = data.draw(st.sampled_from(wrongs))

    def put(parent: Any, key: Any) -> None:
        parent[key] = wrong

    text = _refusal(_changed(document, place, put))
    assert _shown(place) in text


@FEWER
@given(documents(), st.data())
def test_an_unknown_field_is_named_in_its_place(
    document: dict[str, Any], data: st.DataObject
) -> None:
    def is_object(place: tuple[str | int, ...]) -> bool:
        node: Any = document
        for step in place:
            node = node[step]
        return isinstance(node, dict) and place != ("identities",) and _is_judged(place)

    place = data.draw(st.sampled_from([one for one in [(), *_places(document)] if is_object(one)]))

    def add(parent: Any, key: Any) -> None:
        parent[key] = MARKER

    text = _refusal(_changed(document, (*place, "novelty"), add))
    assert f"{_shown((*place, 'novelty'))}: unknown field" in text


@FEWER
@given(documents(), st.data())
def test_a_required_field_that_is_missing_is_named(
    document: dict[str, Any], data: st.DataObject
) -> None:
    required = [
        ("organization_id",),
        ("type_id",),
        ("authentication",),
        ("properties",),
        ("mappings",),
        *(("authentication", name) for name in ("client_id", "client_secret", "api_key")),
        *(("properties", name) for name in document["properties"]),
        ("mappings", 0, "id"),
        ("mappings", 0, "value"),
    ]
    document["mappings"][0].pop("constant", None)
    place = data.draw(st.sampled_from(required))
    text = _refusal(_changed(document, place, lambda parent, key: parent.pop(key)))
    assert f"{_shown(place)}: is required" in text


@FEWER
@given(documents())
def test_an_endpoint_that_may_not_be_called_is_named(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidIntegration, match=r"properties\.dataflow_endpoint: not allowed"):
        _load(document, lambda _: "not allowed")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    )
)
def test_whatever_json_a_file_holds_it_is_refused_in_the_loaders_own_words(document: Any) -> None:
    with pytest.raises(InvalidIntegration):
        _load(document)
