"""Set-ups of the emulator, and integrations that fit them, for both kinds of inlet."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from devtools.examples import integration_document

ORG = "ABC@AdobeOrg"
SCHEMA = "https://ns.adobe.com/acme/schemas/1"


def text(**more: Any) -> dict[str, Any]:
    return {"type": "string"} | more


def objects(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def consent() -> dict[str, Any]:
    return objects(val=text(enum=["y", "n", "u"]), time=text(format="date-time"))


def schema(**changes: Any) -> dict[str, Any]:
    return {
        "$id": SCHEMA,
        "meta:altId": "_acme.schemas.1",
        "meta:class": "https://ns.adobe.com/xdm/context/profile",
        "meta:immutableTags": ["union"],
        **objects(
            _acme=objects(
                news={"type": "boolean"},
                tier=text(enum=["gold", "none"]),
                tags={"type": "array", "items": text()},
                customerId=text(),
                email=consent(),
                seen=text(format="date-time"),
            ),
            personalEmail=objects(address=text()),
            personID=text(),
            identityMap={
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "object"}},
            },
        ),
    } | changes


def primary(path: str = "/personalEmail/address", **changes: Any) -> dict[str, Any]:
    return {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": SCHEMA,
        "xdm:sourceProperty": path,
        "xdm:namespace": "Email",
        "xdm:property": "xdm:code",
        "xdm:isPrimary": True,
    } | changes


def dataset(**tags: Any) -> dict[str, Any]:
    enabled = {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}
    reference = {"id": SCHEMA, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    return {"name": "Consents", "imsOrg": ORG, "schemaRef": reference, "tags": enabled | tags}


def rule(source: str, destination: str = "", **more: Any) -> dict[str, Any]:
    return {"source": source, "destination": destination or source} | more


def flow(data_type: str = "raw", **changes: Any) -> dict[str, Any]:
    rules = [rule("_acme.news"), rule("personalEmail.address")]
    return {
        "id": "flow",
        "inlet": "shop",
        "dataset_id": "dataset",
        "schema_id": SCHEMA,
        "ims_org_id": ORG,
        "data_type": data_type,
        "mappings": rules if data_type == "raw" else [],
    } | changes


def set_up(data_type: str = "raw", **changes: Any) -> dict[str, Any]:
    """A right set-up; `flow` among the changes are those of the flow, the rest are whole parts."""
    of_flow = dict(changes.pop("flow", {}))
    return deepcopy(
        {
            "dataflows": [flow(of_flow.pop("data_type", data_type), **of_flow)],
            "datasets": {"dataset": dataset()},
            "schemas": [schema()],
            "descriptors": [primary()],
            "namespaces": [{"id": 77, "code": "CRMID", "status": "ACTIVE"}],
        }
        | changes
    )


def configured(url: str, data_type: str = "raw", **changes: Any) -> dict[str, Any]:
    """The document of an integration that fits `set_up`, with the inlet below `url`."""
    properties = integration_document()["properties"] | {
        "dataflow_endpoint": f"{url}/collection/shop"
    }
    properties |= changes.pop("properties", {})
    of_kind = (
        {"payload_mode": "xdm", "events": "user"}
        if data_type == "xdm"
        else {"payload_mode": "upsert"}
    )
    return integration_document(properties=properties) | of_kind | changes
