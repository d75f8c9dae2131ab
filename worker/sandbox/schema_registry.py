"""What the emulator's dataflows refer to: sandboxes, datasets, schemas, descriptors, namespaces,
mapping sets.

Adobe Experience Platform, "Available sandboxes endpoint", "Datasets endpoint" of Catalog, "Schemas
endpoint" and "Descriptors endpoint" of the Schema Registry (formats by `Accept`), "List identity
namespaces", and "Mapping sets endpoint" of Data Prep.
"""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from worker.sandbox.emulator_state import STATE
from worker.sandbox.flow_service import mapping_set_id, number_in
from worker.sandbox.gateway import guarded, problem
from worker.sandbox.json_bodies import json_answer

_SCHEMA_FORMATS: Final = re.compile(
    r"application/vnd\.adobe\.xed(?:-full(?:-notext|-desc)?|-deprecatefield)?\+json"
)
_DESCRIPTOR_FORMAT: Final = "application/vnd.adobe.xdm-v2+json"


@guarded("sandboxes")
async def list_sandboxes(request: web.Request) -> web.Response:
    """GET /data/foundation/sandbox-management/: open to every credential, which is shown what its
    role holds.
    """
    sandboxes = request.app[STATE].organization.sandboxes.values()
    shown = [one for one in sandboxes if not one.get("hidden")]
    limit, offset = number_in(request, "limit", 50), number_in(request, "offset", 0)
    listed = shown[offset : offset + limit]
    return json_answer({"sandboxes": listed, "_page": {"limit": limit, "count": len(listed)}})


@guarded("view-datasets")
async def show_dataset(request: web.Request) -> web.Response:
    """GET /data/foundation/catalog/dataSets/{id}: a dict keyed by the id. The form of its 404 is in
    no page; it is that of the other services here.
    """
    dataset_id = request.match_info["id"]
    dataset = request.app[STATE].organization.datasets.get(dataset_id)
    if dataset is None:
        return problem("CATALOG-404", "Not Found", 404, "The dataset is not found.")
    wanted = request.query.get("properties")
    names = wanted.split(",") if wanted else list(dataset)
    return json_answer({dataset_id: {name: dataset[name] for name in names if name in dataset}})


@guarded("view-schemas")
async def show_schema(request: web.Request) -> web.Response:
    """GET /tenant/schemas/{id}: by `$id` or `meta:altId`; `Accept` must have format and version."""
    kind, _, version = request.headers.get("Accept", "").replace(" ", "").partition(";version=")
    if not version:
        return problem("XDM-1007-400", "Accept header invalid", 400, "A version is needed.")
    if not _SCHEMA_FORMATS.fullmatch(kind) or version not in ("1", "1.0"):
        return web.Response(status=406)
    asked = request.match_info["id"]
    for schema_id, schema in request.app[STATE].organization.schemas.items():
        if asked in (schema_id, schema.get("meta:altId")):
            return json_answer(schema)
    text = "The requested schema resource with version 1 is not found."
    return problem("XDM-1010-404", "Resource not found", 404, text)


@guarded("view-schemas")
async def list_descriptors(request: web.Request) -> web.Response:
    """GET /tenant/descriptors?property=xdm:sourceSchema==ID."""
    if request.headers.get("Accept") != _DESCRIPTOR_FORMAT:
        return problem("XDM-1008-400", "Accept header invalid", 400, "Another format is needed.")
    _, _, schema_id = request.query.get("property", "").partition("xdm:sourceSchema==")
    found = [
        one
        for one in request.app[STATE].organization.descriptors
        if one.get("xdm:sourceSchema") == schema_id
    ]
    return json_answer({"results": found, "_page": {"next": None, "count": len(found)}})


@guarded("view-identity-namespaces")
async def list_namespaces(request: web.Request) -> web.Response:
    """GET /data/core/idnamespace/identities."""
    return json_answer(list(request.app[STATE].organization.namespaces.values()))


@guarded("mapping-sets")
async def show_mapping_set(request: web.Request) -> web.Response:
    """GET /data/foundation/conversion/mappingSets/{id}. The form of its 404 is in no page."""
    for flow in request.app[STATE].organization.dataflows.values():
        if mapping_set_id(flow) == request.match_info["id"]:
            return json_answer(
                {
                    "id": mapping_set_id(flow),
                    "version": flow.mapping_version,
                    "status": "PUBLISHED",
                    "xdmSchema": flow.schema_id,
                    "mappings": [_rule(one) for one in flow.mappings],
                }
            )
    return problem("CONVERSION-404", "Not Found", 404, "The mapping set is not found.")


def _rule(said: dict[str, Any]) -> dict[str, Any]:
    """With both spellings of Adobe's, as its list of mappings has them."""
    doublets = {"sourceAttribute": said["source"], "destinationXdmPath": said["destination"]}
    return {"sourceType": "text/x.schema-path"} | said | doublets
