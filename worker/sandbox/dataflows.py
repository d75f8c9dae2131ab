"""What an inlet with a registered dataflow takes, what Data Prep makes of it, and what becomes of
it after the answer.

Adobe Experience Platform, "Data Prep, data handling" (texts become booleans) and "Data Prep
troubleshooting guide" (a field that can't be transformed is left out, and the row goes on). What is
calculated by an expression is left out here, since the emulator knows no functions.

Adobe Experience Platform, "Create a streaming connection for the HTTP API" (raw and XDM-compatible
inlets), "Sending partial row updates using data prep" (operations are for raw inlets), "Streaming
ingestion validation" (validation comes after the answer), "Monitor dataflows" (runs).
"""

from __future__ import annotations

from typing import Any, Final

from worker.sandbox.collection import (
    NO_HEADER,
    UNKNOWN_FORMAT,
    WRONG_ORGANIZATION,
    Refusal,
    accept,
    check_message,
    message_refusal,
    transaction_id,
)
from worker.sandbox.customer_organization import Dataflow
from worker.sandbox.emulator_state import SandboxState, empty_paths
from worker.sandbox.record_validation import identity_in, value_at, violations

_TRUE: Final = frozenset({"y", "yes", "on", "true"})
_FALSE: Final = frozenset({"n", "no", "off", "false"})
_PLAIN: Final = (None, "ATTRIBUTE", "text/x.schema-path")


def mapped(rules: list[dict[str, Any]], source: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The record that a mapping set's `rules` make of `source`."""
    record: dict[str, Any] = {}
    for rule in rules:
        if rule.get("sourceType") not in _PLAIN:
            continue
        value = value_at(source, str(rule["source"]).split("."))
        if value is None:
            continue
        path = str(rule["destination"]).split(".")
        _place(record, path, _converted(value, _type_at(schema, path)))
    return record


def _type_at(schema: Any, path: list[str]) -> Any:
    for step in path:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        schema = properties.get(step) if isinstance(properties, dict) else None
    return schema.get("type") if isinstance(schema, dict) else None


def _converted(value: Any, kind: Any) -> Any:
    if kind == "boolean" and isinstance(value, str):
        word = value.lower()
        return True if word in _TRUE else False if word in _FALSE else value
    return value


def _place(record: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        inner = record.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        record = inner
    known = record.get(path[-1])
    if isinstance(known, dict) and isinstance(value, dict):
        known.update(value)
    else:
        record[path[-1]] = value


_MOST_VIOLATIONS = 5


def check_for_inlet(
    state: SandboxState, inlet: str, flow_id: str | None, message: Any
) -> Dataflow | None:
    """The dataflow of the inlet, if one is registered; `flow_id` is the one outside of `message`.
    Raises `Refusal`.
    """
    flow = state.organization.flow_of_inlet(inlet)
    if flow is None:
        check_message(state, inlet, flow_id, message)
    else:
        check_for_flow(flow, flow_id, message)
    return flow


def accept_for_inlet(
    state: SandboxState, flow: Dataflow | None, inlet: str, message: dict[str, Any]
) -> str:
    """Take a message that was checked, and return its transaction id."""
    if flow is None:
        return accept(state, inlet, message)
    return accept_for_flow(state, flow, message)


def check_for_flow(flow: Dataflow, flow_id: str | None, message: Any) -> None:
    """Raise `Refusal` unless the inlet of `flow` takes `message`; `flow_id` is the one outside."""
    if flow.data_type == "raw":
        _check_raw(flow, flow_id, message)
    else:
        _check_xdm(flow, flow_id, message)


def _check_raw(flow: Dataflow, flow_id: str | None, message: Any) -> None:
    """Any object with the flow's id beside it; an envelope is one, and is taken, too."""
    if not isinstance(message, dict):
        raise message_refusal(flow.inlet, None, UNKNOWN_FORMAT)
    said = message.get("header")
    header = said if isinstance(said, dict) else {}
    named = [one for one in (flow_id, header.get("flowId")) if one]
    if not named or any(one != flow.id for one in named):
        raise message_refusal(flow.inlet, None, UNKNOWN_FORMAT)
    if header and header.get("imsOrgId", flow.ims_org_id) != flow.ims_org_id:
        raise message_refusal(flow.inlet, header.get("imsOrgId"), WRONG_ORGANIZATION)
    if header and header.get("datasetId", flow.dataset_id) != flow.dataset_id:
        raise message_refusal(flow.inlet, flow.ims_org_id, UNKNOWN_FORMAT)


def _check_xdm(flow: Dataflow, flow_id: str | None, message: Any) -> None:
    header = message.get("header") if isinstance(message, dict) else None
    if not isinstance(header, dict):
        raise message_refusal(flow.inlet, None, NO_HEADER)
    if header.get("imsOrgId") != flow.ims_org_id:
        raise message_refusal(flow.inlet, header.get("imsOrgId"), WRONG_ORGANIZATION)
    body = message.get("body")
    meta = body.get("xdmMeta") if isinstance(body, dict) else None
    reference = header.get("schemaRef")
    fits = (
        "operations" not in header
        and isinstance(reference, dict)
        and reference.get("id") == flow.schema_id
        and isinstance(meta, dict)
        and meta.get("schemaRef") == reference
        and header.get("datasetId") == flow.dataset_id
        and all(one == flow.id for one in (flow_id, header.get("flowId")) if one)
    )
    if not fits:
        raise message_refusal(flow.inlet, flow.ims_org_id, UNKNOWN_FORMAT)


def check_values_for_flow(state: SandboxState, flow: Dataflow, message: Any) -> None:
    """Raise `Refusal` for what synchronous validation finds; raw inlets have no XDM by then."""
    if state.organization.sandboxes.get(flow.sandbox, {}).get("region", "VA7") != "VA7":
        raise Refusal(501, "Synchronous validation is not available in this region")
    if flow.data_type == "raw":
        return
    found = _problems(state, flow, _record(state, flow, message))
    if found:
        listed = [{"message": text} for _, text in found[:_MOST_VIOLATIONS]]
        refusal = message_refusal(flow.inlet, flow.ims_org_id, UNKNOWN_FORMAT)
        raise Refusal(refusal.status, refusal.message, {"_streamingValidation": listed})


def accept_for_flow(state: SandboxState, flow: Dataflow, message: dict[str, Any]) -> str:
    """Take a message, and return its transaction id. What is wrong with it shows in the flow's
    runs, as at Adobe, and among the emulator's failures.
    """
    transaction = transaction_id()
    record = _record(state, flow, message)
    found = _problems(state, flow, record)
    if found:
        code, text = found[0]
        problem = {"code": code, "message": text}
        state.organization.note_record(flow.id, problem)
        of = {"inlet": flow.inlet, "xactionId": transaction, "at": []}
        state.failures.append(of | problem)
        return transaction
    state.organization.note_record(flow.id, None)
    identity = identity_in(record, state.organization.primary_path(flow.schema_id))
    if identity is not None and state.organization.is_for_profile(flow):
        state.apply(flow.dataset_id, identity, record, _operation(message))
    return transaction


def _operation(message: dict[str, Any]) -> str:
    header = message.get("header")
    operations = header.get("operations") if isinstance(header, dict) else None
    if not isinstance(operations, dict):
        return "create"
    return str(operations.get("data", "create"))


def _record(state: SandboxState, flow: Dataflow, message: dict[str, Any]) -> dict[str, Any]:
    if flow.data_type == "xdm":
        record = message["body"].get("xdmEntity")
        return record if isinstance(record, dict) else {}
    is_envelope = isinstance(message.get("header"), dict) and "body" in message
    source = message["body"] if is_envelope else message
    return mapped(flow.mappings, source, state.organization.schemas.get(flow.schema_id, {}))


def _problems(state: SandboxState, flow: Dataflow, record: dict[str, Any]) -> list[tuple[str, str]]:
    """Code and sentence of all that is wrong with a record."""
    organization = state.organization
    found = [("DCVS-1101-400", f"null or empty value at {one}") for one in empty_paths(record)]
    schema = organization.schemas.get(flow.schema_id)
    if not found and schema is not None:
        found = list(violations(schema, record))
    if identity_in(record, organization.primary_path(flow.schema_id)) is None:
        found.append(("DCVS-1106-400", "the primary identity is missing"))
    return found
