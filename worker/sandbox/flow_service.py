"""The emulator's Flow Service: flows, their connections and runs.

Adobe Experience Platform, "Create a streaming connection for the HTTP API", the specification
flow-service of AdobeDocs/experience-platform-apis (a look-up by id answers a list of one), and
"Flow Service errors".
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from worker.sandbox.customer_organization import Dataflow
from worker.sandbox.emulator_state import STATE
from worker.sandbox.gateway import guarded, problem, sandbox_of
from worker.sandbox.json_bodies import json_answer

BASE: Final = "/data/foundation/flowservice"
_NO_MAPPING: Final = "d8a6f005-7eaf-4153-983e-e8574508b877"
_WITH_MAPPING: Final = "c1a19761-d2c7-4702-b9fa-fe91f0613e81"
_STREAMING: Final = {"id": "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb", "version": "1.0"}
_LANDING: Final = {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c", "version": "1.0"}


def mapping_set_id(flow: Dataflow) -> str:
    return f"mappings-{flow.id}"


@guarded("view-sources")
async def list_flows(request: web.Request) -> web.Response:
    """GET /flows: those of the sandbox."""
    flows = request.app[STATE].organization.dataflows.values()
    seen = [_flow(one) for one in flows if one.sandbox == sandbox_of(request)]
    return json_answer({"items": seen[: number_in(request, "limit", 20)]})


@guarded("view-sources")
async def list_runs(request: web.Request) -> web.Response:
    """GET /runs?property=flowId==ID, the newest first if `orderby` says so."""
    _, _, flow_id = request.query.get("property", "").partition("flowId==")
    runs = list(request.app[STATE].organization.runs.get(flow_id, ()))
    if request.query.get("orderby") == "-createdAt":
        runs.reverse()
    return json_answer({"items": runs[: number_in(request, "limit", 20)]})


@guarded("view-sources")
async def show(request: web.Request) -> web.Response:
    """GET /{kind}/{id}: a flow, or a connection of one."""
    organization, sandbox = request.app[STATE].organization, sandbox_of(request)
    if sandbox not in organization.sandboxes:
        text = "The sandbox that was named is not found."
        return problem("FLOW-2100-404", "Resource not found", 404, text)
    kind, asked = request.match_info["kind"], request.match_info["id"]
    for flow in organization.dataflows.values():
        one = _shown(request, flow, kind)
        if one is not None and one["id"] == asked and flow.sandbox == sandbox:
            return json_answer({"items": [one]})
    text = f"The requested {kind} resource is not found."
    return problem("FLOW-1439-404", "Resource not found", 404, text)


def number_in(request: web.Request, name: str, default: int) -> int:
    """A number of the query, such as `limit`."""
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() else default


def _shown(request: web.Request, flow: Dataflow, kind: str) -> dict[str, Any] | None:
    match kind:
        case "flows":
            return _flow(flow)
        case "sourceConnections":
            return _source(flow) | {"state": "enabled"}
        case "connections":
            return _base(flow) | {"state": "enabled", "auth": _auth(request, flow)}
        case "targetConnections":
            return _target(flow)
        case _:
            return None


def _flow(flow: Dataflow) -> dict[str, Any]:
    is_raw = flow.data_type == "raw"
    shown: dict[str, Any] = {
        "id": flow.id,
        "state": flow.state,
        "imsOrgId": flow.ims_org_id,
        "sandboxName": flow.sandbox,
        "flowSpec": {"id": flow.flow_spec or (_WITH_MAPPING if is_raw else _NO_MAPPING)},
        "sourceConnectionIds": [f"source-{flow.id}"],
        "targetConnectionIds": [f"target-{flow.id}"],
        "runs": f"/runs?property=flowId=={flow.id}",
    }
    if flow.inherits:
        shown["inheritedAttributes"] = {
            "sourceConnections": [_source(flow) | {"baseConnection": _base(flow)}],
            "targetConnections": [{"id": f"target-{flow.id}"}],
        }
    if flow.mappings or is_raw:
        parameters = {"mappingId": mapping_set_id(flow), "mappingVersion": flow.mapping_version}
        shown["transformations"] = [{"name": "Mapping", "params": parameters}]
    return shown


def _source(flow: Dataflow) -> dict[str, Any]:
    return {
        "id": f"source-{flow.id}",
        "baseConnectionId": f"base-{flow.id}",
        "connectionSpec": _STREAMING,
    }


def _base(flow: Dataflow) -> dict[str, Any]:
    return {"id": f"base-{flow.id}", "connectionSpec": _STREAMING}


def _auth(request: web.Request, flow: Dataflow) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "sourceId": flow.id,
        "dataType": flow.data_type,
        "inletUrl": flow.inlet_url or str(request.url.origin() / "collection" / flow.inlet),
        "inletId": flow.inlet,
    }
    if flow.authentication_required is not None:
        parameters["authenticationRequired"] = flow.authentication_required
    return {"specName": "Streaming Connection", "params": parameters}


def _target(flow: Dataflow) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": f"target-{flow.id}",
        "state": "enabled",
        "connectionSpec": _LANDING,
        "params": {"dataSetId": flow.dataset_id},
    }
    if flow.tells_schema:
        version = "application/vnd.adobe.xed-full+json;version=1.0"
        shown["data"] = {"schema": {"id": flow.schema_id, "version": version}}
    return shown
