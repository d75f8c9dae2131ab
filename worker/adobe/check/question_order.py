"""Asks Adobe for all that a check needs, in an order in which each answer says what to ask next.

Pages of Adobe's: "Flow Service API", "Catalog Service API", "Schema Registry API", "Data Prep API",
"Identity namespaces", "Sandboxes available", and for the look-up "Entities endpoint".
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from worker.adobe.check.customer_setup import (
    LookedUp,
    SetUp,
    at,
    base_connection_of,
    dataset_schema,
    first_item,
    mapping_of,
    objects_at,
    text_at,
)
from worker.adobe.check.flow_rules import same_endpoint
from worker.adobe.check.platform_reads import Answer, Found, NotAsked, NotFound, PlatformReader
from worker.adobe.profile_lookup import sandbox_of
from worker.integrations.model import Integration
from worker.transform.identity import possible_identities

_SANDBOXES: Final = "/data/foundation/sandbox-management/"
_MOST_SANDBOX_PAGES: Final = 20
_FLOWS: Final = "/data/foundation/flowservice"
_CATALOG: Final = "/data/foundation/catalog/dataSets/"
_SCHEMAS: Final = "/data/foundation/schemaregistry/tenant"
_SCHEMA_FORMAT: Final = "application/vnd.adobe.xed-full-notext+json; version=1"
"""All references resolved, no titles: the smallest form with every path."""
_DESCRIPTOR_FORMAT: Final = "application/vnd.adobe.xdm-v2+json"
_DATASET_PARTS: Final = {"properties": "name,schemaRef,tags,imsOrg"}
RECENT_RUNS: Final = 20
_MOST_OTHER_FLOWS: Final = 10
"""Looked at for one that has the configured endpoint, where the configured flow is not found."""


async def collect(reader: PlatformReader, integration: Integration, now_ms: int) -> SetUp:
    """Everything of a set-up at Adobe that can be read; what can't says why."""
    found = SetUp(now_ms, sandboxes=await _sandboxes(reader, sandbox_of(integration)))
    found = await _flow(reader, integration, found)
    found = await _target(reader, integration, found)
    found = replace(
        found,
        namespaces=await reader.get("/data/core/idnamespace/identities"),
        mapping_set=await _mapping_set(reader, found),
        identity_dataset=await _identity_dataset(reader, integration),
    )
    if found.needs_look_ups(integration):
        found = replace(found, look_ups=await _look_ups(reader, integration))
    if isinstance(found.flow, Found):
        found = replace(found, runs=await _runs(reader, integration))
    return found


async def collect_inlet(reader: PlatformReader, integration: Integration) -> SetUp:
    """The flow and the connection of its inlet alone."""
    flow = first_item(await reader.get(_by_id("flows", integration.properties.dataflow_id)))
    found = SetUp(0, flow=flow)
    if isinstance(flow, Found):
        return replace(found, connection=await _connection(reader, flow.document))
    return found


async def _sandboxes(reader: PlatformReader, name: str) -> Answer:
    """Those that the credential is shown, page by page until there is one of this `name`."""
    listed: list[dict[str, Any]] = []
    for _ in range(_MOST_SANDBOX_PAGES):
        answer = await reader.get(_SANDBOXES, {"offset": str(len(listed))} if listed else None)
        if not isinstance(answer, Found):
            return answer
        more = objects_at(answer.document, "sandboxes")
        listed += more
        limit = at(answer.document, "_page", "limit")
        # What a page says of its `count` is not used: whether that is of all pages is in no page.
        if not more or not isinstance(limit, int) or len(more) < limit:
            break
        if any(text_at(one, "name") == name for one in more):
            break
    return Found({"sandboxes": listed})


async def _flow(reader: PlatformReader, integration: Integration, found: SetUp) -> SetUp:
    flow = first_item(await reader.get(_by_id("flows", integration.properties.dataflow_id)))
    if not isinstance(flow, Found):
        other = ""
        if isinstance(flow, NotFound):
            other = await _flow_with_inlet(reader, integration.properties.dataflow_endpoint)
        return replace(found, flow=flow, flow_of_inlet=other)
    target: Answer = NotAsked("the flow's target connection")
    if target_id := text_at(flow.document, "targetConnectionIds", 0):
        target = first_item(await reader.get(_by_id("targetConnections", target_id)))
    return replace(
        found, flow=flow, connection=await _connection(reader, flow.document), target=target
    )


async def _connection(reader: PlatformReader, flow: object) -> Answer:
    """The base connection, by the flow itself or by its source connection."""
    connection_id = base_connection_of(flow)
    if not connection_id and (source_id := text_at(flow, "sourceConnectionIds", 0)):
        source = first_item(await reader.get(_by_id("sourceConnections", source_id)))
        if not isinstance(source, Found):
            return source
        connection_id = text_at(source.document, "baseConnectionId")
    if not connection_id:
        return NotAsked("the flow's source connection")
    return first_item(await reader.get(_by_id("connections", connection_id)))


async def _flow_with_inlet(reader: PlatformReader, endpoint: str) -> str:
    """The id of a flow that the credential can see and that has this endpoint; or ""."""
    flows = await reader.get(f"{_FLOWS}/flows", {"limit": str(_MOST_OTHER_FLOWS)})
    if not isinstance(flows, Found):
        return ""
    for flow in objects_at(flows.document, "items")[:_MOST_OTHER_FLOWS]:
        connection = await _connection(reader, flow)
        if isinstance(connection, Found):
            inlet = text_at(connection.document, "auth", "params", "inletUrl")
            if inlet and same_endpoint(inlet, endpoint):
                return text_at(flow, "id")
    return ""


async def _target(reader: PlatformReader, integration: Integration, found: SetUp) -> SetUp:
    """Dataset and schema: those that the flow has, and where it does not tell, the configured."""
    target = found.target.document if isinstance(found.target, Found) else None
    dataset_id = text_at(target, "params", "dataSetId") or integration.properties.dataset_id
    dataset = await _dataset(reader, dataset_id)
    of_dataset = dataset_schema(dataset.document) if isinstance(dataset, Found) else ""
    schema_id = (
        text_at(target, "data", "schema", "id") or of_dataset or integration.properties.schema_id
    )
    schema = await reader.get(
        f"{_SCHEMAS}/schemas/{quote(schema_id, safe='')}", accept=_SCHEMA_FORMAT
    )
    descriptors = await reader.get(
        f"{_SCHEMAS}/descriptors",
        {"property": f"xdm:sourceSchema=={schema_id}"},
        _DESCRIPTOR_FORMAT,
    )
    return replace(found, dataset=dataset, schema=schema, descriptors=descriptors)


async def _dataset(reader: PlatformReader, dataset_id: str) -> Answer:
    """A dict keyed by the id, of which the value is taken."""
    answer = await reader.get(_CATALOG + quote(dataset_id, safe=""), _DATASET_PARTS)
    if not isinstance(answer, Found):
        return answer
    dataset = at(answer.document, dataset_id)
    return Found(dataset) if isinstance(dataset, dict) else NotFound("an empty answer")


async def _identity_dataset(reader: PlatformReader, integration: Integration) -> Answer:
    if integration.identity_dataset_id is None:
        return NotAsked("identity_dataset_id")
    return await _dataset(reader, integration.identity_dataset_id)


async def _mapping_set(reader: PlatformReader, found: SetUp) -> Answer:
    mapping = mapping_of(found.flow.document) if isinstance(found.flow, Found) else None
    if mapping is None:
        return NotAsked("the flow's mapping set")
    mapping_id, version = mapping
    return await reader.get(
        f"/data/foundation/conversion/mappingSets/{quote(mapping_id, safe='')}",
        {"version": version} if version else None,
    )


async def _look_ups(reader: PlatformReader, integration: Integration) -> tuple[LookedUp, ...]:
    """Asks for somebody who does not exist, by each identifier: proof of the right to ask."""
    nobody = f"{secrets.token_hex(16)}@nobody.invalid"
    return tuple(
        [
            LookedUp(one.identifier, await reader.look_up(one))
            for one in possible_identities(integration, nobody)
        ]
    )


async def _runs(reader: PlatformReader, integration: Integration) -> Answer:
    flow_id = integration.properties.dataflow_id
    query = {
        "property": f"flowId=={flow_id}",
        "orderby": "-createdAt",
        "limit": str(RECENT_RUNS),
    }
    return await reader.get(f"{_FLOWS}/runs", query)


def _by_id(kind: str, one: str) -> str:
    return f"{_FLOWS}/{kind}/{quote(one, safe='')}"
