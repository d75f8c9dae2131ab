"""The emulator's profile look-up.

Adobe Experience Platform, "Entities endpoint (Profile Access)"; the refusals of the gateway are
those of "Experience Platform troubleshooting guide".
"""

from __future__ import annotations

import hashlib
from typing import Any

from aiohttp import web

from worker.sandbox.emulator_state import STATE, SandboxState
from worker.sandbox.fault_playback import meet_fault, reset_if_staged
from worker.sandbox.gateway import refused_by_gateway
from worker.sandbox.json_bodies import json_answer
from worker.sandbox.record_validation import value_at


async def look_up(request: web.Request) -> web.Response:
    """GET /data/core/ups/access/entities: any fragment that has this identity."""
    state = request.app[STATE]
    keys = {request.headers.get("x-gw-ims-org-id", ""), request.headers.get("x-api-key", "")}
    met = await meet_fault(request, "lookup", keys)
    if isinstance(met, web.Response):
        return met
    if refusal := refused_by_gateway(state, request):
        return refusal
    if (status := state.organization.refused.get("view-profiles")) is not None:
        text = "UPS-ACC-1000004: IMS Org is not provisioned."
        return json_answer({"message": text, "statusCode": str(status)}, status)
    query = request.query
    if query.get("schema.name") != "_xdm.context.profile" or not (
        query.get("entityIdNS") and query.get("entityId")
    ):
        cause = "schema.name, entityId and entityIdNS are required"
        return json_answer({"message": "Bad request", "cause": cause, "statusCode": "400"}, 400)
    if _is_unknown_namespace(state, query["entityIdNS"]):
        cause = "the namespace is not known"
        return json_answer({"message": "Bad request", "cause": cause, "statusCode": "422"}, 422)
    reset_if_staged(request, met)
    return _answer(state, query["entityIdNS"], query["entityId"], query.get("fields", ""))


def _is_unknown_namespace(state: SandboxState, code: str) -> bool:
    """Only where a set-up has told namespaces. Adobe's page has the status, and not its text."""
    known = {one.casefold() for one in state.organization.namespaces}
    return state.organization.knows_namespaces and code.casefold() not in known


def _only(record: dict[str, Any], fields: str) -> dict[str, Any]:
    """The `fields` of a record, paths with commas between them; all of it without any."""
    if not fields:
        return record
    kept: dict[str, Any] = {}
    for path in fields.split(","):
        *parents, name = path.split(".")
        value = value_at(record, [*parents, name])
        if value is not None:
            node = kept
            for parent in parents:
                node = node.setdefault(parent, {})
            node[name] = value
    return kept


def _with_identity(record: dict[str, Any], namespace: str, identity: str) -> dict[str, Any]:
    """A profile's identityMap has all its identities, also those that are fields of its records."""
    said = record.get("identityMap")
    known = said if isinstance(said, dict) else {}
    return record | {"identityMap": {namespace: [{"id": identity}]} | known}


def _answer(state: SandboxState, namespace: str, identity: str, fields: str) -> web.Response:
    """Keyed by an XID, never by the value asked for. Adobe shows "not found" in several forms."""
    xid = hashlib.blake2b(identity.encode(), digest_size=20).hexdigest()
    profile = state.find(identity)
    if profile is not None:
        entry = {
            "entityId": xid,
            "sources": [profile.dataset_id],
            "entity": _only(_with_identity(profile.record, namespace, identity), fields),
        }
        return json_answer({xid: entry})
    match state.not_found:
        case "empty-object":
            return json_answer({})
        case "empty-entity":
            return json_answer({xid: {"entityId": xid, "sources": [""], "entity": {}}})
        case _:
            return json_answer({"statusCode": "404"}, 404)
