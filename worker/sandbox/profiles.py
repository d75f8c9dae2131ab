"""The profile look-up.

Adobe Experience Platform, "Entities endpoint (Profile Access)"; the refusals of the gateway are
those of "Experience Platform troubleshooting guide".
"""

from __future__ import annotations

import hashlib

from aiohttp import web

from worker.sandbox.answers import json_answer
from worker.sandbox.staging import meet_fault, reset_if_staged
from worker.sandbox.state import STATE, SandboxState


async def look_up(request: web.Request) -> web.Response:
    """GET /data/core/ups/access/entities: any fragment that has this identity."""
    state = request.app[STATE]
    keys = {request.headers.get("x-gw-ims-org-id", ""), request.headers.get("x-api-key", "")}
    met = await meet_fault(request, "lookup", keys)
    if isinstance(met, web.Response):
        return met
    if refusal := _refused_by_gateway(state, request):
        return refusal
    query = request.query
    if query.get("schema.name") != "_xdm.context.profile" or not (
        query.get("entityIdNS") and query.get("entityId")
    ):
        cause = "schema.name, entityId and entityIdNS are required"
        return json_answer({"message": "Bad request", "cause": cause, "statusCode": "400"}, 400)
    reset_if_staged(request, met)
    return _answer(state, query["entityId"])


def _refused_by_gateway(state: SandboxState, request: web.Request) -> web.Response | None:
    token = request.headers.get("Authorization", "").removeprefix("Bearer").strip()
    if not token:
        return json_answer({"error_code": "403010", "message": "Oauth token is missing"}, 403)
    if not state.token_is_valid(token):
        return json_answer({"error_code": "401013", "message": "Oauth token is not valid"}, 401)
    if not request.headers.get("x-api-key"):
        return json_answer({"error_code": "403000", "message": "Api Key is required"}, 403)
    if not request.headers.get("x-gw-ims-org-id"):
        return json_answer({"error_code": "403027", "message": "Region is missing"}, 403)
    return None


def _answer(state: SandboxState, identity: str) -> web.Response:
    """Keyed by an XID, never by the value asked for. Adobe shows "not found" in several forms."""
    xid = hashlib.blake2b(identity.encode(), digest_size=20).hexdigest()
    profile = state.find(identity)
    if profile is not None:
        entry = {"entityId": xid, "sources": [profile.dataset_id], "entity": profile.record}
        return json_answer({xid: entry})
    match state.not_found:
        case "empty-object":
            return json_answer({})
        case "empty-entity":
            return json_answer({xid: {"entityId": xid, "sources": [""], "entity": {}}})
        case _:
            return json_answer({"statusCode": "404"}, 404)
