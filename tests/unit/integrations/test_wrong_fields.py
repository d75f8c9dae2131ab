"""Configurations that would send a consent to a wrong place, or nowhere: each with its sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.examples import integration_document
from worker.adobe.endpoints import EndpointPolicy
from worker.integrations.loading import InvalidIntegration, load_integration
from worker.integrations.secret_references import SecretSource

CHECK = EndpointPolicy(("dcs.adobedc.net",)).problem
SECRETS = SecretSource({"BROKEN": "one\ntwo", "BLANK": " \n"})
NEWS = "consents_purposes_news_enabled"
TOPICS = "consents_purposes_news_values_topics_value"
ENDPOINT = "https://dcs.adobedc.net/collection"
REFERENCE = "looks like a reference, and references are resolved in authentication only: write the "
HALF = (
    "has ${ without a name and } behind it: a reference is ${NAME}; a secret that really holds ${ "
    "must stand in a file (file:PATH)"
)
BLANK = "has a blank or an invisible character in it: take it out"
SLASH = "has a slash in it: write dots, as in _tenant.consents.newsletter"
BRACKETS = (
    "has brackets in it: a list is written whole, so end the id at the list's own name and give "
    "the mapping format list"
)
PLACEHOLDER = (
    "has < or > in it: the one placeholder is <value>, a name of its own after the first, as in "
    "consents.idSpecific.Email.<value>.marketing.email.val"
)
COPY = "copy the streaming endpoint as Adobe shows it"
ONE_LINE = "holds a line break or another control character: put in the secret alone, on one line"


def _authentication(**changes: Any) -> dict[str, Any]:
    return {"authentication": integration_document()["authentication"] | changes}


def _properties(**changes: Any) -> dict[str, Any]:
    return {"properties": integration_document()["properties"] | changes}


def _mappings(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"mappings": [{"id": "_acme.news", "value": NEWS} | one for one in entries]}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    # What would match no event, or write nowhere.
    (
        "a regulation in capitals",
        {"regulations": ["GDPR"]},
        "regulations.1: Didomi's ids are in small letters: write 'gdpr'",
    ),
    (
        "an unknown regulation in capitals",
        {"regulations": ["gdpr", "Hush"]},
        "regulations.2: Didomi's ids are in small letters: write it so",
    ),
    (
        "two regulations in one",
        {"regulations": ["gdpr cpra"]},
        "regulations.1: an id has no blanks: write each as a text of its own",
    ),
    (
        "consent-val at a val",
        _mappings({"id": "consents.share.val", "format": "consent-val"}),
        'mappings.1.format: consent-val writes the whole object {"val": …}, so the id must end '
        "before .val; or keep the id and write y-n",
    ),
    ("a slash", _mappings({"id": "_acme/news"}), f"mappings.1.id: {SLASH}"),
    ("a pointer", _mappings({}, {"id": "/_acme/news"}), f"mappings.2.id: {SLASH}"),
    ("a blank", _mappings({"id": "_acme.news letter"}), f"mappings.1.id: {BLANK}"),
    ("no width", _mappings({"id": "_acme.ne\u200bws"}), f"mappings.1.id: {BLANK}"),
    ("a place in a list", _mappings({"id": "_acme.news[0]"}), f"mappings.1.id: {BRACKETS}"),
    (
        "two dots",
        _mappings({"id": "_acme..news"}),
        "mappings.1.id: must be names joined by single dots, such as _tenant.consents.newsletter",
    ),
    ("an unknown placeholder", _mappings({"id": "a.<email>"}), f"mappings.1.id: {PLACEHOLDER}"),
    ("a placeholder first", _mappings({"id": "<value>.a"}), f"mappings.1.id: {PLACEHOLDER}"),
    (
        "a placeholder of an identity",
        {"identities": {"email": {"path": "a.<value>"}}},
        "identities.email.path: has < or > in it: only the id of a mapping may have <value>",
    ),
    (
        "a placeholder for two identities",
        _mappings({"id": "a.<value>"}) | _properties(user_identifier=["email", "id"]),
        "mappings: <value> stands for the identity, and properties.user_identifier names several "
        "kinds of it: keep one",
    ),
    (
        "a hash for an address",
        {"identities": {"email": {"normalisation": "sha256"}}},
        "identities.email.path: is 'personalEmail.address', which is for an address, and sha256 "
        "writes a hash: name the field that your schema has for hashed addresses, or set location "
        "to identity-map",
    ),
    (
        "Didomi's organization for Adobe's",
        _properties(organization_id="northwind"),
        "properties.organization_id: must be Adobe's id of the organization, which ends in "
        "@AdobeOrg; Didomi's stands in the outer organization_id",
    ),
    (
        "no inlet",
        _properties(dataflow_endpoint=f"{ENDPOINT}/"),
        f"properties.dataflow_endpoint: lacks the id of the inlet behind /collection/: {COPY}",
    ),
    (
        "the batch endpoint",
        _properties(dataflow_endpoint=f"{ENDPOINT}/batch/x"),
        "properties.dataflow_endpoint: is the endpoint for batches: leave /batch out; the worker "
        "forms batches itself",
    ),
    (
        "an endpoint with a query",
        _properties(dataflow_endpoint=f"{ENDPOINT}/x?syncValidation=true"),
        f"properties.dataflow_endpoint: must end before the ? or #: {COPY}",
    ),
    # References
    (
        "a reference beyond authentication",
        _properties(dataflow_id="${FLOW}"),
        f"properties.dataflow_id: {REFERENCE}value itself",
    ),
    (
        "one without braces",
        _properties(dataset_id="$DATASET"),
        f"properties.dataset_id: {REFERENCE}value itself",
    ),
    (
        "one to a file",
        _properties(schema_id="file:schema"),
        f"properties.schema_id: {REFERENCE}value itself",
    ),
    (
        "one in a mapping",
        _mappings({"constant": {"val": "a${NAME}"}}),
        f"mappings.1.constant.val: {REFERENCE}value itself",
    ),
    (
        "no braces",
        _authentication(client_secret="$SECRET"),
        "authentication.client_secret: a reference to a variable is written with braces: ${NAME}",
    ),
    (
        "half a reference",
        _authentication(client_secret="${SECRET"),
        f"authentication.client_secret: {HALF}",
    ),
    (
        "a reference to nothing",
        _authentication(api_key="${}"),
        f"authentication.api_key: {HALF}",
    ),
    (
        "a variable that is blank",
        _authentication(client_secret="${BLANK}"),
        "authentication.client_secret: the environment variable BLANK is not set, or empty",
    ),
    (
        "a secret of two lines",
        _authentication(client_secret="${BROKEN}"),
        f"authentication.client_secret: {ONE_LINE}",
    ),
    (
        "a secret with its line break",
        _authentication(second_client_secret="s\n"),
        f"authentication.second_client_secret: {ONE_LINE}",
    ),
    # Targets that collide
    (
        "one target twice",
        _mappings({}, {}),
        "mappings: two entries write to '_acme.news': take one out",
    ),
    (
        "one target in another",
        _mappings({"id": "_acme"}, {}),
        "mappings: '_acme' and '_acme.news' can't both be written, since the second lies inside "
        "the first",
    ),
    (
        "the identity's field",
        _mappings({"id": "personalEmail.address"}),
        "mappings: an entry writes to 'personalEmail.address', which carries the identity: choose "
        "another id",
    ),
    (
        "around the identity's field",
        _mappings({"id": "personalEmail"}),
        "mappings: 'personalEmail' collides with 'personalEmail.address', which carries the "
        "identity: choose another id",
    ),
    (
        "a time for two choices",
        _mappings({"time_path": "_acme.t"}, {"id": "_acme.b", "time_path": "_acme.t"}),
        "mappings: two entries write to '_acme.t': take one out",
    ),
    (
        "a target where the person is",
        {
            "mappings": [
                {"id": "ids.<value>.val", "value": "consents_purposes_news_enabled"},
                {"id": "ids.all", "constant": "didomi"},
            ]
        },
        "mappings: 'ids.<value>.val' and 'ids.all' can't both be written, since a person may be "
        "called as the name that the second has in the place of <value>: choose another id",
    ),
    (
        "a time inside of what is no object",
        _mappings({"id": "a.b", "format": "y-n", "time_path": "a.b.time"}),
        "mappings: 'a.b' and 'a.b.time' can't both be written, since the second lies inside the "
        "first",
    ),
    (
        "a time in the place of the choice",
        _mappings({"id": "a.b", "format": "consent-val", "time_path": "a.b.val"}),
        "mappings.1.time_path: is where consent-val writes the choice: name another field",
    ),
    # Options that contradict each other
    (
        "an unknown format",
        _mappings({"format": "yes-no"}),
        "mappings.1.format: must be one of as-is, boolean, inverted, consent-val, y-n, text, list, "
        "contains:<value>",
    ),
    (
        "nothing to look for",
        _mappings({"value": TOPICS, "format": "contains: "}),
        "mappings.1.format: must be one of as-is, boolean, inverted, consent-val, y-n, text, list, "
        "contains:<value>",
    ),
    (
        "a text as a choice",
        _mappings({"value": "country", "format": "y-n"}),
        "mappings.1.format: y-n needs a value that ends in _enabled; for a text put "
        'contains:<value> or boolean before it, as in ["boolean", "y-n"]',
    ),
    (
        "a choice as a list of values",
        _mappings({"format": "contains:shoes"}),
        "mappings.1.format: contains:shoes looks into the values of a preference (…_value); one "
        "that ends in _enabled is true or false by itself",
    ),
    (
        "two values at once",
        _mappings({"value": TOPICS, "format": "contains:shoes,bags"}),
        "mappings.1.format: contains:<value> asks for one value, so without a comma",
    ),
    (
        "a last step first",
        _mappings({"format": ["y-n", "inverted"]}),
        "mappings.1.format: y-n must be the last step",
    ),
    (
        "a first step last",
        _mappings({"format": ["inverted", "boolean"]}),
        "mappings.1.format: boolean must be the first step",
    ),
    (
        "as it is and otherwise",
        _mappings({"format": ["as-is", "y-n"]}),
        "mappings.1.format: as-is stands alone: leave it out",
    ),
    (
        "a constant in a format",
        _mappings({"format": "y-n", "constant": "y"}),
        "mappings.1.format: has no meaning beside a constant, which is sent as it is: leave it out",
    ),
    (
        "an empty constant",
        _mappings({"constant": {"val": ""}}),
        "mappings.1.constant: must hold nothing that is null or empty: Adobe takes neither",
    ),
    (
        "nothing to send",
        {"mappings": [{"id": "_acme.news"}]},
        "mappings.1.value: is required, unless the mapping has a constant",
    ),
    (
        "the time of a constant",
        {"mappings": [{"id": "a", "constant": "x", "time_path": "b"}]},
        "mappings.1.time_path: needs a value: a constant alone is no choice",
    ),
    (
        "a snapshot to be confirmed",
        _mappings({"pending": "p"}) | {"events": "user", "payload_mode": "xdm"},
        'mappings: pending has no meaning with events "user": a snapshot is confirmed',
    ),
    (
        "a text for an object to be confirmed",
        _mappings({"format": "consent-val", "pending": "p"}),
        'mappings.1.pending: must be an object as consent-val writes one: {"val": "p"}',
    ),
    (
        "an object for a text to be confirmed",
        _mappings({"id": "a.val", "format": "y-n", "pending": {"val": "p"}}),
        "mappings.1.pending: is an object, and the id ends in .val: write what val is, alone",
    ),
    (
        "an object for a constant text",
        _mappings({"id": "a.val", "constant": {"val": "y"}}),
        "mappings.1.constant: is an object, and the id ends in .val: write what val is, alone",
    ),
    (
        "updates that can't take a choice back",
        _mappings({"absent": False}, {"id": "b"}, {"id": "c", "value": TOPICS})
        | {"events": "user", "payload_mode": "upsert"},
        "mappings.2.absent: is required (also mapping 3) for events \"user\" with payload_mode "
        '"upsert": a message updates what it names, so a choice that a newer snapshot does not '
        "name any more (its events were deleted) would stay at Adobe for ever. Say what it "
        'becomes, such as false or {"val": "u"}, or set payload_mode to "xdm"',
    ),
    (
        "events that take a choice back",
        _mappings({"absent": False}),
        'mappings.1.absent: has no meaning with events "event", which say what was chosen and '
        'never what was taken back: leave it out, or set events to "user"',
    ),
    (
        "a fact that is taken back",
        _mappings({"value": "created_at", "absent": "x"}),
        "mappings.1.absent: has no meaning: this is of the event, and no choice to be taken back",
    ),
    (
        "a constant that is taken back",
        {"mappings": [{"id": "a", "constant": "x", "absent": "y"}]},
        "mappings.1.absent: needs a value: a constant alone is no choice",
    ),
    (
        "a constant that is emptied",
        {"mappings": [{"id": "a", "constant": "x", "empty": "y"}]},
        "mappings.1.empty: needs a value: a constant alone is no choice",
    ),
    (
        "a constant that would lose digits",
        {"mappings": [{"id": "a", "constant": {"n": [123456789012345678901]}}]},
        "mappings.1.constant: must hold no number beyond 64 bits, which loses digits: write a text",
    ),
    (
        "a choice that is emptied",
        _mappings({"empty": "none"}),
        "mappings.1.empty: has no meaning: only the values of a preference (…_value) and metadata "
        "can be empty",
    ),
    (
        "a value in what is emptied",
        _mappings({"value": TOPICS, "format": "contains:shoes", "empty": "none"}),
        "mappings.1.empty: has no meaning beside contains:shoes: an empty value contains nothing",
    ),
    (
        "an empty word",
        _mappings({"value": TOPICS, "empty": ""}),
        "mappings.1.empty: must hold nothing that is null or empty: Adobe takes neither",
    ),
    (
        "a text for an object that is emptied",
        _mappings({"value": TOPICS, "format": ["boolean", "consent-val"], "empty": "n"}),
        'mappings.1.empty: must be an object as consent-val writes one: {"val": "n"}',
    ),
    (
        "a text for an object that is taken back",
        _mappings({"format": "consent-val", "absent": "u"})
        | {"events": "user", "payload_mode": "xdm"},
        'mappings.1.absent: must be an object as consent-val writes one: {"val": "u"}',
    ),
    (
        "an object for a text that is taken back",
        _mappings({"id": "a.val", "format": "y-n", "absent": {"val": "u"}})
        | {"events": "user", "payload_mode": "xdm"},
        "mappings.1.absent: is an object, and the id ends in .val: write what val is, alone",
    ),
    # In our own words, not in those of a library
    ("null", _properties(dataset_id=None), "properties.dataset_id: must be a text in quotation "
        'marks ("…"), and is null'),
    ("a text for a boolean", {"enabled": "true"}, "enabled: must be true or false, without "
        "quotation marks, and is a text"),
    ("a fraction", {"limits": {"events_held": 8.5}}, "limits.events_held: must be a whole number, "
        "without quotation marks, and is a number"),
    ("an object for a list", {"mappings": {"id": "a"}}, "mappings: must be a list in [ ], and is "
        "an object"),
    ("too few", {"mappings": []}, "mappings: must have one entry at least"),
    ("too many", {"mappings": [{"id": f"a{at}", "value": NEWS} for at in range(1001)]},
        "mappings: must have at most 1,000 entries, and has 1,001"),
    ("a word of several", {"events": "all"}, "events: must be one of event, user"),
    ("too much", {"limits": {"events_held": 9_000}}, "limits.events_held: must be at most 2000"),
    ("an odd id", {"id": "a b"}, "id: must be letters, digits, dots, _ and -, from a "
        "letter or digit on, 128 at most"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "sentence"), [pytest.param(*row, id=name) for name, *row in WRONG]
)
def test_it_is_refused_with_one_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(integration_document(**changes)))
    with pytest.raises(InvalidIntegration) as refused:
        load_integration(path, SECRETS, CHECK)
    assert refused.value.problems == [sentence]
    assert str(refused.value) == f"{path}: {sentence}"


@pytest.mark.parametrize("constant", ["$NAME", "file:about", {"val": "$NAME"}])
def test_what_a_mapping_sends_as_it_is_may_look_like_a_reference(
    tmp_path: Path, constant: Any
) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(integration_document(**_mappings({"constant": constant}))))
    assert load_integration(path, SECRETS, CHECK).mappings[0].constant == constant
