"""Streaming ingestion as Adobe documents it: what is checked, and what is answered.

Adobe Experience Platform, "Stream record data", "Streaming multiple messages", and the
specification streaming-ingestion of AdobeDocs/experience-platform-apis.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

from worker.sandbox.emulator_state import SandboxState, empty_paths, identity_of

MAX_REQUEST_BYTES = 1_048_576
_INLET_PROBLEM = "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet"
_AUTHORIZATION_PROBLEM = (
    "https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization"
)
NO_HEADER = "The 'header' field is mandatory. Provide a valid 'header' value and try again."
UNKNOWN_FORMAT = "Message has unknown xdm format"
WRONG_ORGANIZATION = "Message has an absent or wrong ims org in the header"
_MAX_VIOLATIONS = 5
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Refusal(Exception):
    """Why the emulator refuses a message."""

    status: int
    message: str
    cause: dict[str, Any] | None = None


def refusal_body(refusal: Refusal) -> dict[str, Any]:
    """The body of a refused single message. The status of a 401 is a string, as documented."""
    if refusal.status in (401, 403):
        return {
            "type": _AUTHORIZATION_PROBLEM,
            "status": str(refusal.status),
            "title": "Authorization",
            "report": {"message": refusal.message},
        }
    return {
        "type": _INLET_PROBLEM,
        "status": refusal.status,
        "title": "Invalid XDM Message Format",
        "report": {"message": refusal.message}
        | ({"cause": refusal.cause} if refusal.cause else {}),
    }


def transaction_id() -> str:
    return f"{int(time.time() * 1000)}:{next(_numbers)}:{next(_numbers)}"


def check_authorization(state: SandboxState, inlet: str, authorization: str | None) -> None:
    """Raise `Refusal` unless the inlet takes this bearer token, or wants none."""
    flow = state.organization.flow_of_inlet(inlet)
    wanted = state.inlets.get(inlet, {}).get("authenticated", True)
    if not wanted or (flow is not None and not flow.authentication_required):
        return
    token = (authorization or "").removeprefix("Bearer").strip()
    if not token:
        raise Refusal(401, f"[{inlet}] Ims service token is empty")
    if not state.token_is_valid(token):
        raise Refusal(403, f"[{inlet}] Ims service token is invalid or expired")


def message_refusal(inlet: str, organization: Any, text: str) -> Refusal:
    """The refusal of a message, a 400 in the words of Adobe."""
    return Refusal(400, f"inletId: [{inlet}] imsOrgId: [{organization or ''}] {text}")


def check_message(state: SandboxState, inlet: str, flow_id: str | None, message: Any) -> None:
    """Raise `Refusal` unless `message` is an envelope that this inlet takes.

    `flow_id` is the one outside of the message. Only what an inlet was registered with is
    compared; an inlet that was not registered takes whatever is well-formed.
    """
    header = message.get("header") if isinstance(message, dict) else None
    if not isinstance(header, dict):
        raise message_refusal(inlet, None, NO_HEADER)
    organization = header.get("imsOrgId")
    known = state.inlets.get(inlet, {})
    if not organization or organization != known.get("ims_org_id", organization):
        raise message_refusal(inlet, organization, WRONG_ORGANIZATION)
    flows = [one for one in (flow_id, header.get("flowId")) if one]
    fits = (
        _has_fitting_schema(header, message.get("body"), known.get("schema_id"))
        and bool(flows)
        and bool(header.get("datasetId"))
        and isinstance(header["datasetId"], str)
        and header["datasetId"] == known.get("dataset_id", header["datasetId"])
        and all(one == known.get("flow_id", one) for one in flows)
    )
    if not fits:
        raise message_refusal(inlet, organization, UNKNOWN_FORMAT)


def _has_fitting_schema(header: dict[str, Any], body: Any, schema_id: str | None) -> bool:
    """The header and the body of an XDM message name the same schema; other bodies name none."""
    if not isinstance(body, dict):
        return False
    reference = header.get("schemaRef")
    if "xdmMeta" not in body and "xdmEntity" not in body:
        return reference is None or _names(reference, schema_id)
    meta = body.get("xdmMeta")
    of_body = meta.get("schemaRef") if isinstance(meta, dict) else None
    return of_body == reference and _names(reference, schema_id)


def _names(reference: Any, schema_id: str | None) -> bool:
    if not isinstance(reference, dict) or not reference.get("id"):
        return False
    return schema_id is None or bool(reference["id"] == schema_id)


def check_values(inlet: str, message: dict[str, Any]) -> None:
    """Raise `Refusal` for nulls and empty values, in the form of synchronous validation.

    Adobe Experience Platform, "Streaming ingestion validation".
    """
    if empties := empty_paths(_record(message["body"])):
        violations = [
            {"pointerToViolation": f"#{path}", "message": "null or empty value"}
            for path in empties[:_MAX_VIOLATIONS]
        ]
        refusal = message_refusal(inlet, message["header"]["imsOrgId"], UNKNOWN_FORMAT)
        raise Refusal(refusal.status, refusal.message, {"_streamingValidation": violations})


def accept(state: SandboxState, inlet: str, message: dict[str, Any]) -> str:
    """Store an accepted message and return its transaction id.

    Validation comes after the answer, as at Adobe: a record with nulls, or without an identity,
    is answered with success and then recorded as a failure.
    """
    header, body = message["header"], message["body"]
    record = _record(body)
    transaction = transaction_id()
    identity = identity_of(record)

    def fail(code: str | None, text: str, at: list[str]) -> None:
        failure = {"inlet": inlet, "xactionId": transaction, "code": code}
        state.failures.append(failure | {"message": text, "at": at})

    if "xdmMeta" in body and "xdmEntity" not in body:
        fail(None, "Payload body is missing xdmEntity", [])
    elif empties := empty_paths(record):
        fail("DCVS-1101-400", "null or empty value", empties)
    elif identity is None:
        fail("DCVS-1106-400", "the primary identity is missing", [])
    else:
        operations = header.get("operations")
        operation = operations.get("data", "create") if isinstance(operations, dict) else "create"
        state.apply(header["datasetId"], identity, record, operation)
    return transaction


def _record(body: dict[str, Any]) -> dict[str, Any]:
    record = body.get("xdmEntity", body)
    return record if isinstance(record, dict) else {}
