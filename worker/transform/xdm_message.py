"""The message that Adobe gets, in either of its two forms. Pure.

`upsert`: header and body of a streaming upsert, whose `operations.data: "merge"` updates only the
attributes that are sent (Adobe Experience Platform, "Sending partial row updates using data prep").
`xdm`: the full envelope, which replaces the record ("Stream record data").
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from worker.integrations.model import Derived, Integration
from worker.integrations.xdm_paths import PERSON
from worker.transform.decision_types import Identity
from worker.transform.format_rendering import Sent
from worker.transform.xdm_times import iso_time

_RECORD_MARK = "\x00record\x00"


def build_payload(integration: Integration, record: Mapping[str, Any]) -> dict[str, Any]:
    """The message to Adobe for one record."""
    return _envelope(integration, record)


def build_record(
    integration: Integration,
    attributes: Mapping[str, Any],
    identity: Identity,
    event_time_ms: int,
) -> dict[str, Any]:
    """The XDM record: attributes nested by their dotted paths, with the identity in its place.

    Where the integration opts in, also when the newest of the choices was made.
    """
    record = nest(attributes, identity.value)
    if integration.event_time_path is not None:
        _place(record, integration.event_time_path, iso_time(event_time_ms))
    if identity.in_identity_map:
        entry = {"id": identity.value, "primary": True}
        record["identityMap"] = {identity.namespace or "": [entry]}
    else:
        _place(record, identity.path, identity.value)
    return record


def encode_message(integration: Integration, record: Mapping[str, Any]) -> bytes:
    """The message to Adobe for one record, as JSON. What is the same in all messages of an
    integration is made once.
    """
    before, after = _frames.of(integration)
    return before + orjson.dumps(record) + after


def nest(attributes: Mapping[str, Any], person: str) -> dict[str, Any]:
    """Attributes nested by their paths: `{"a.b": 1}` as `{"a": {"b": 1}}`, `person` in the place of
    each `PERSON`.

    No path may lie inside another (checked when loading).
    """
    record: dict[str, Any] = {}
    for path, value in attributes.items():
        if value.__class__ is Sent:
            if value.value is None:
                continue  # emptied
            _place(record, path, value.value, person)
            if value.time_path is not None:
                _place(record, value.time_path, iso_time(value.time_ms), person)
            continue
        parents, name, names_person = _steps(path)
        if names_person:
            _place(record, path, value, person)
            continue
        # What `_place` does, in line: a call for each attribute of each event is dear.
        node = record
        for parent in parents:
            inner = node.get(parent)
            if inner is None:
                inner = node[parent] = {}
            node = inner
        node[name] = value
    return record


@lru_cache(4096)
def _steps(path: str) -> tuple[list[str], str, bool]:
    *parents, name = path.split(".")
    return parents, name, PERSON in (*parents, name)


def _place(record: dict[str, Any], path: str, value: Any, person: str = "") -> None:
    parents, name, names_person = _steps(path)
    if names_person:
        parents = [person if one == PERSON else one for one in parents]
        name = person if name == PERSON else name
    node = record
    for parent in parents:
        node = node.setdefault(parent, {})
    node[name] = value


def _envelope(integration: Integration, record: Any) -> dict[str, Any]:
    properties = integration.properties
    schema_ref = {"id": properties.schema_id, "contentType": integration.schema_content_type}
    header: dict[str, Any] = {
        "schemaRef": schema_ref,
        "imsOrgId": properties.organization_id,
        "datasetId": properties.dataset_id,
        "flowId": properties.dataflow_id,
        "source": {"name": integration.source_name},
    }
    if integration.replaces_record:
        return {
            "header": header,
            "body": {"xdmMeta": {"schemaRef": schema_ref}, "xdmEntity": record},
        }
    header["operations"] = _operations(integration)
    return {"header": header, "body": record}


def _frame(integration: Integration) -> tuple[bytes, bytes]:
    """What stands before and after the record."""
    before, _, after = orjson.dumps(_envelope(integration, _RECORD_MARK)).partition(
        orjson.dumps(_RECORD_MARK)
    )
    return before, after


_frames: Final = Derived("frame", _frame)


def _operations(integration: Integration) -> dict[str, str]:
    operations = {"data": "merge"}
    if integration.identity_dataset_id:
        operations["identity"] = "create"
        operations["identityDatasetId"] = integration.identity_dataset_id
    return operations
