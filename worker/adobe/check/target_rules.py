"""Judges where the flow leads: dataset and schema, whether Profile takes them, and whether a record
has all that the schema requires. Pure.

Adobe's pages "Enable a dataset for Profile", "Streaming upserts" (identity dataset), "Schemas
endpoint" (`union`: enabled for Profile), "Schema Registry, class" (record or event).

Adobe's page "Streaming ingestion validation" (presence). Of a raw inlet nothing is known before its
mapping, and nothing of what a merge must have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from worker.adobe.check.customer_setup import SetUp, at, dataset_schema, shown_name, text_at
from worker.adobe.check.example_values import sent_times, sent_values
from worker.adobe.check.flow_rules import SOURCES
from worker.adobe.check.platform_reads import Found, NotFound, not_judged
from worker.adobe.check.report_lines import CheckName, Line, ok, unclear, wrong
from worker.adobe.check.resolved_schema import node_at
from worker.integrations.model import Integration

DATASETS: Final = "View Datasets"
SCHEMAS: Final = "View Schemas"
_EVENT_CLASS: Final = "/context/experienceevent"


def judge_dataset(integration: Integration, found: SetUp) -> Line:
    """Whether the flow writes into the configured dataset."""
    configured = integration.properties.dataset_id
    if not isinstance(found.target, Found):
        return not_judged("dataset", found.target, SOURCES)
    dataset_id = text_at(found.target.document, "params", "dataSetId")
    if not dataset_id:
        return unclear("dataset", "the flow's target tells no dataset")
    if dataset_id != configured:
        text = f"the flow writes into the dataset {shown_name(dataset_id)}"
        return wrong("dataset", f"{text}; set properties.dataset_id")
    if isinstance(found.dataset, NotFound):
        text = f"the dataset {configured} does not exist any more; make the dataflow anew"
        return wrong("dataset", text)
    return ok("dataset", "the flow writes into the configured dataset")


def judge_schema(integration: Integration, found: SetUp) -> Line:
    """Whether the target's schema is the configured one, by the flow or by its dataset."""
    configured = integration.properties.schema_id
    of_flow = of_dataset = ""
    if isinstance(found.target, Found):
        of_flow = text_at(found.target.document, "data", "schema", "id")
    if isinstance(found.dataset, Found):
        of_dataset = dataset_schema(found.dataset.document)
    for schema_id, whose in ((of_flow, "the flow"), (of_dataset, "the dataset")):
        if schema_id and schema_id != configured:
            text = f"the schema of {whose} is {shown_name(schema_id)}; set properties.schema_id"
            return wrong("schema", text)
    if not of_flow and not of_dataset:
        lacking = found.target if not isinstance(found.target, Found) else found.dataset
        return not_judged("schema", lacking, DATASETS)
    if isinstance(found.schema, NotFound):
        return wrong("schema", f"the schema {configured} does not exist in this sandbox")
    read = " and ".join(
        whose for one, whose in ((of_flow, "the flow"), (of_dataset, "the dataset")) if one
    )
    return ok("schema", f"that of {read} is the configured one")


def judge_profile(found: SetUp) -> Iterator[Line]:
    """Whether Profile takes what is written: both dataset and schema must be enabled for it."""
    if not isinstance(found.dataset, Found):
        yield not_judged("dataset-profile", found.dataset, DATASETS)
    elif _is_tagged(found.dataset.document, "unifiedProfile"):
        yield ok("dataset-profile", "the dataset is enabled for Profile")
    else:
        yield wrong("dataset-profile", "enable the dataset for Profile at Adobe")
    if not isinstance(found.schema, Found):
        yield not_judged("schema-profile", found.schema, SCHEMAS)
        return
    if text_at(found.schema.document, "meta:class").endswith(_EVENT_CLASS):
        text = "the schema is of the class XDM ExperienceEvent; consents need an Individual Profile"
        yield wrong("schema-profile", text)
        return
    tags = at(found.schema.document, "meta:immutableTags")
    if isinstance(tags, list) and "union" in tags:
        yield ok("schema-profile", "the schema is enabled for Profile")
    else:
        yield wrong("schema-profile", "enable the schema for Profile at Adobe")


def judge_identity_dataset(integration: Integration, found: SetUp) -> Iterator[Line]:
    """The second dataset of an upsert that also creates identities, where one is configured."""
    if integration.identity_dataset_id is None:
        return
    check: CheckName = "identity-dataset"
    if isinstance(found.identity_dataset, NotFound):
        yield wrong(check, "identity_dataset_id: there is no such dataset in this sandbox")
        return
    if not isinstance(found.identity_dataset, Found):
        yield not_judged(check, found.identity_dataset, DATASETS)
        return
    dataset = found.identity_dataset.document
    if dataset_schema(dataset) != integration.properties.schema_id:
        yield wrong(check, "the identity dataset has another schema; it needs schema_id's")
    elif _is_tagged(dataset, "unifiedProfile"):
        text = "the identity dataset is enabled for Profile, and would overwrite profiles"
        yield wrong(check, f"{text}; use one that is not")
    elif not _is_tagged(dataset, "unifiedIdentity"):
        yield wrong(check, "enable the identity dataset for Identity Service at Adobe")
    else:
        yield ok(check, "it has the schema, and is enabled for Identity Service alone")


def _is_tagged(dataset: object, tag: str) -> bool:
    """Adobe prints `enabled:true`, and in some examples `enabled: true`."""
    tags = at(dataset, "tags", tag)
    said = tags if isinstance(tags, list) else []
    return any(isinstance(one, str) and one.replace(" ", "") == "enabled:true" for one in said)


_MOST_SHOWN: Final = 10


def judge_required(integration: Integration, found: SetUp) -> Iterator[Line]:
    """Whether records for an XDM-compatible inlet have all that the schema requires."""
    if found.inlet_kind != "xdm":
        return
    if not isinstance(found.schema, Found):
        yield not_judged("required", found.schema, SCHEMAS)
        return
    sent = set(_sent_paths(integration))
    missing = sorted(set(_missing(found.schema.document, sent)))
    if not missing:
        yield ok("required", "the schema requires nothing that is not sent")
        return
    names = ", ".join(shown_name(one) for one in missing[:_MOST_SHOWN])
    text = f"the schema requires {names}, which nothing sends, and every record would be dropped"
    yield wrong("required", f"{text}; map it, or take the requirement away at Adobe")


def _sent_paths(integration: Integration) -> Iterator[str]:
    for mapping in integration.mappings:
        yield mapping.id
        for value in sent_values(mapping):
            if isinstance(value, dict):
                yield from (f"{mapping.id}.{name}" for name in value)
    for _, rule in integration.identity_rules:
        yield "identityMap" if rule.location == "identity-map" else rule.path or ""
    yield from sent_times(integration)


def _missing(schema: Any, sent: set[str]) -> Iterator[str]:
    """What is required in the objects that are sent, and is in none of the paths."""
    inside = {path[:at_dot] for path in sent for at_dot in _dots(path)} | {""}
    for parent in inside:
        node = node_at(schema, parent) if parent else schema
        required = at(node, "required")
        for name in required if isinstance(required, list) else ():
            path = f"{parent}.{name}".removeprefix(".")
            if path not in sent and path not in inside:
                yield path


def _dots(path: str) -> Iterator[int]:
    return (number for number, one in enumerate(path) if one == ".")
