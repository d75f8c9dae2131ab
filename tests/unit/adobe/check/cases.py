# ruff: noqa: E501
"""What can be found, a case a line: what differs from a right set-up, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.unit.adobe.check.set_ups import dataset, primary, rule, schema
from worker.adobe.check.report_lines import CheckName, Verdict

NOW_MS = int(time.time() * 1000)
OTHER = "https://ns.adobe.com/acme/schemas/2"


class Case(NamedTuple):
    """What differs from a right set-up, and the line that must say so."""

    check: CheckName
    verdict: Verdict
    said: str
    adobe: Mapping[str, Any] = MappingProxyType({})
    config: Mapping[str, Any] = MappingProxyType({})
    kind: str = "raw"
    of: str = ""
    faults: tuple[dict[str, Any], ...] = ()


def mapping(path: str, value: str = "consents_purposes_news_enabled", **more: Any) -> Any:
    return {"mappings": [{"id": path, "value": value, **more}]}


def refused(right: str, status: int = 403, **more: int) -> dict[str, Any]:
    return {"refused": {right: status} | more}


def rules(*more: dict[str, Any]) -> dict[str, Any]:
    return {"flow": {"mappings": [rule("personalEmail.address"), *more]}}


def failed_run(at_ms: int) -> dict[str, Any]:
    problem = {"code": "MAPPER-3700-400", "message": "of lena@northwind.example"}
    summary = {"inputRecordCount": 5, "failedRecordCount": 3, "failedInfo": [problem]}
    status = {"status": "failed", "errors": []}
    metrics = {"recordSummary": summary, "statusSummary": status}
    return {"runs": {"flow": [{"createdAt": at_ms, "metrics": metrics}]}}


AUTHENTICATION = {"client_id": "c", "client_secret": "s3cret", "api_key": "k3y"}
FEW_SCOPES = {"authentication": AUTHENTICATION | {"scopes": "openid,session"}}
LOOK_UP = {"upsert_mode": False}
AWAY = {"target": "platform", "kind": "status", "status": 503}
IDENTITY_DATASET = {"identity_dataset_id": "identities"}


def datasets(**tags: Any) -> dict[str, Any]:
    identities = dataset(unifiedProfile=["enabled:false"], **tags)
    return {"datasets": {"dataset": dataset(), "identities": identities}}


MANY_SANDBOXES = [{"name": f"dev-{number}", "state": "active"} for number in range(120)]

# fmt: off
CASES = [
    Case("token", "ok", "obtained"),
    Case("token", "wrong", "mend authentication.client_id", config={"authentication": AUTHENTICATION | {"client_secret": "wr0ng"}}),
    Case("token", "wrong", "mend authentication.scopes", faults=({"target": "token", "kind": "status", "status": 400, "body": {"error": "invalid_scope"}},)),
    Case("token", "unclear", "ask again", faults=({"target": "token", "kind": "status", "status": 503},)),
    Case("scopes", "ok", "all that Experience Platform asks for"),
    Case("scopes", "ok", "though without AdobeID", config=FEW_SCOPES),
    Case("scopes", "wrong", "add AdobeID,", refused("sandboxes"), FEW_SCOPES),
    Case("scopes", "unclear", "the platform does not answer", config=FEW_SCOPES, faults=(AWAY | {"key": "sandboxes"},)),
    Case("sandbox", "ok", "prod is active"),
    Case("sandbox", "ok", "10 % of the capacity", {"sandboxes": [{"name": "dev", "state": "active", "type": "development"}], "flow": {"sandbox": "dev"}}, {"sandbox_name": "dev"}),
    Case("sandbox", "ok", "late is active", {"sandboxes": [*MANY_SANDBOXES, {"name": "late", "state": "active"}]}, {"sandbox_name": "late"}),
    Case("sandbox", "wrong", "set it to prod", config={"sandbox_name": "Prod"}),
    Case("sandbox", "wrong", "set it to dev-2", {"sandboxes": [{"name": "dev-2", "title": "Trials", "state": "active"}]}, {"sandbox_name": "Trials"}),
    Case("sandbox", "unclear", "no sandbox 'kept': give its role that sandbox, or mend sandbox_name; it is shown prod", {"sandboxes": [{"name": "kept", "state": "active", "hidden": True}]}, {"sandbox_name": "kept"}),
    Case("sandbox", "unclear", "no sandbox 'last'", {"sandboxes": MANY_SANDBOXES}, {"sandbox_name": "last"}),
    Case("sandbox", "unclear", "no sandbox is listed", {"sandboxes": [{"name": "prod", "state": "active", "hidden": True}]}),
    Case("sandbox", "wrong", "is deleting", {"sandboxes": [{"name": "prod", "state": "deleting"}]}),
    Case("sandbox", "unclear", "grant", refused("sandboxes")),
    Case("flow", "ok", "exists and is enabled"),
    Case("flow", "wrong", "is disabled; enable", {"flow": {"state": "disabled"}}),
    Case("flow", "wrong", "the endpoint belongs to the flow other", {"flow": {"id": "other"}}),
    Case("flow", "wrong", "belongs to the flow other", {"flow": {"id": "other", "inherits": False}}),
    Case("flow", "unclear", "'View Sources'", refused("view-sources")),
    Case("flow", "unclear", "dataflow_id is mistaken", refused("view-sources", 404)),
    Case("flow", "unclear", "dataflow_id is mistaken", {"flow": {"id": "other", "inlet": "else"}}),
    Case("flow", "unclear", "ask again", faults=(AWAY | {"key": "view-sources"},)),
    Case("organization", "ok", "the configured organization's"),
    Case("organization", "wrong", "belongs to DEF@AdobeOrg; set properties.organization_id", {"flow": {"ims_org_id": "DEF@AdobeOrg"}}),
    Case("organization", "unclear", "does not say", {"flow": {"ims_org_id": ""}}),
    Case("inlet", "ok", "is the configured one"),
    Case("inlet", "ok", "is the configured one", {"flow": {"inherits": False}}),
    Case("inlet", "wrong", "is https://dcs.adobedc.net/collection/9; set properties.dataflow_endpoint", {"flow": {"inlet_url": "https://dcs.adobedc.net/collection/9?key=planted"}}),
    Case("inlet", "unclear", "needs the flow", refused("view-sources")),
    Case("payload-mode", "ok", "is raw, as upsert needs it"),
    Case("payload-mode", "ok", "is XDM-compatible, as xdm needs it", kind="xdm"),
    Case("payload-mode", "wrong", 'is XDM-compatible; set payload_mode to "xdm"', {"flow": {"data_type": "xdm"}}),
    Case("payload-mode", "wrong", 'is raw; set payload_mode to "upsert"', config={"payload_mode": "xdm", "events": "user"}),
    Case("payload-mode", "unclear", "needs the flow", refused("view-sources")),
    Case("payload-mode", "ok", "auto finds that the inlet is raw", config={"payload_mode": "auto"}),
    Case("payload-mode", "ok", "auto finds that the inlet is XDM-compatible", kind="xdm", config={"payload_mode": "auto"}),
    Case("payload-mode", "wrong", "auto finds that the inlet is XDM-compatible, and so: payload_mode: ", kind="xdm", config={"payload_mode": "auto", "events": "event"}),
    Case("authentication", "ok", "wants a token, as configured"),
    Case("authentication", "ok", "wants no token, as configured", {"flow": {"authentication_required": None}}, {"authenticated": False}),
    Case("authentication", "wrong", "set authenticated to false", {"flow": {"authentication_required": False}}),
    Case("authentication", "wrong", "set authenticated to true", config={"authenticated": False}),
    Case("authentication", "unclear", "needs the flow", refused("view-sources")),
    Case("dataset", "ok", "writes into the configured dataset"),
    Case("dataset", "wrong", "into the dataset second; set properties.dataset_id", {"flow": {"dataset_id": "second"}}),
    Case("dataset", "wrong", "does not exist any more", {"datasets": {}}),
    Case("dataset", "unclear", "needs the flow", refused("view-sources")),
    Case("schema", "ok", "is the configured one"),
    Case("schema", "ok", "is the configured one", {"flow": {"tells_schema": False}}),
    Case("schema", "wrong", f"the schema of the flow is {OTHER}; set properties.schema_id", {"flow": {"schema_id": OTHER}}),
    Case("schema", "wrong", f"the schema of the dataset is {OTHER}", {"datasets": {"dataset": dataset() | {"schemaRef": {"id": OTHER}}}}),
    Case("schema", "wrong", "does not exist in this sandbox", {"schemas": []}),
    Case("schema", "unclear", "needs the flow", {"refused": {"view-sources": 403, "view-datasets": 403}}),
    Case("dataset-profile", "ok", "is enabled for Profile"),
    Case("dataset-profile", "ok", "is enabled for Profile", {"datasets": {"dataset": dataset(unifiedProfile=["enabled: true", "isUpsert: true"])}}),
    Case("dataset-profile", "wrong", "enable the dataset for Profile", {"datasets": {"dataset": dataset(unifiedProfile=["enabled:false"])}}),
    Case("dataset-profile", "unclear", "'View Datasets'", refused("view-datasets")),
    Case("schema-profile", "ok", "is enabled for Profile"),
    Case("schema-profile", "wrong", "enable the schema for Profile", {"schemas": [schema(**{"meta:immutableTags": []})]}),
    Case("schema-profile", "wrong", "XDM ExperienceEvent", {"schemas": [schema(**{"meta:class": "https://ns.adobe.com/xdm/context/experienceevent"})]}),
    Case("schema-profile", "wrong", "enable the schema for Profile", {"flow": {"tells_schema": False}, "datasets": {"dataset": dataset() | {"schemaRef": {"id": OTHER}}}, "schemas": [schema(), schema(**{"$id": OTHER, "meta:immutableTags": []})]}),
    Case("schema-profile", "unclear", "'View Schemas'", refused("view-schemas")),
    Case("identity", "ok", "goes to the primary identity personalEmail.address", of="email"),
    Case("identity", "ok", "goes to the primary identity _acme.customerId", {"descriptors": [primary("/_acme/customerId")], "flow": {"mappings": [rule("_acme.news"), rule("mail", "_acme.customerId")]}}, {"identities": {"email": {"path": "mail"}}}, of="email"),
    Case("identity", "ok", "goes to the primary", {"descriptors": [primary(**{"xdm:namespace": "77", "xdm:property": "xdm:id"})]}, {"identities": {"email": {"namespace": "CRMID"}}}, "xdm", "email"),
    Case("identity", "ok", "goes into the schema's identityMap", {"descriptors": []}, {"identities": {"email": {"location": "identity-map"}}}, "xdm", "email"),
    Case("identity", "wrong", "set identities.email.path", {"descriptors": [primary("/_acme/customerId")]}, {}, "xdm", "email"),
    Case("identity", "wrong", "mend the mapping set", {"flow": {"mappings": [rule("_acme.news"), rule("personalEmail.address", "_acme.customerId")]}}, of="email"),
    Case("identity", "wrong", "does not read personalEmail.address", {"flow": {"mappings": [rule("_acme.news")]}}, of="email"),
    Case("identity", "wrong", "namespace is Phone; set identities.email.namespace", {"descriptors": [primary(**{"xdm:namespace": "Phone"})]}, LOOK_UP, of="email"),
    Case("identity", "wrong", 'set identities.email.location to "identity-map"', {"descriptors": []}, {}, "xdm", "email"),
    Case("identity", "wrong", 'set location to "field"', {}, {"identities": {"email": {"location": "identity-map"}}}, "xdm", "email"),
    Case("identity", "wrong", "has no identityMap", {"descriptors": [], "schemas": [schema(properties={"personID": {"type": "string"}})]}, {"identities": {"email": {"location": "identity-map"}}}, "xdm", "email"),
    Case("identity", "wrong", "is no text", {"descriptors": [primary("/_acme/news")]}, {"identities": {"email": {"path": "_acme.news"}}, **mapping("_acme.tier", "metadata_tier")}, "xdm", "email"),
    Case("identity", "unclear", "'View Schemas'", refused("view-schemas"), of="email"),
    Case("identity", "unclear", "look at the calculated ones", {"flow": {"mappings": [rule("lower(x)", "personalEmail.address", sourceType="EXPRESSION")]}}, of="email"),
    Case("namespace", "ok", "exists and is active", of="Email"),
    Case("namespace", "wrong", "is INACTIVE", {"namespaces": [{"id": 6, "code": "Email", "status": "INACTIVE"}]}, of="Email"),
    Case("namespace", "wrong", "did you mean Email?", {}, LOOK_UP | {"identities": {"email": {"namespace": "email"}}}, of="email"),
    Case("namespace", "unclear", "'View Identity Namespaces'", refused("view-identity-namespaces"), of="Email"),
    Case("mapping", "ok", "writes it to _acme.news", of="_acme.news"),
    Case("mapping", "ok", "is a field of the schema, and its type fits", {}, {}, "xdm", "_acme.news"),
    Case("mapping", "ok", "its type fits", {}, mapping("_acme.email", format="consent-val"), "xdm", "_acme.email"),
    Case("mapping", "ok", "takes only gold, none; what is sent depends on the event", {}, mapping("_acme.tier", "country"), "xdm", "_acme.tier"),
    Case("mapping", "ok", "its type fits", {}, {"event_time_path": "_acme.seen"}, "xdm", "_acme.seen"),
    Case("mapping", "ok", "writes it to _acme.email.val", rules(rule("_acme", "_acme"), rule("mine.mail", "_acme.email.val")), mapping("mine.mail", "metadata_mail"), of="mine.mail"),
    Case("mapping", "ok", "is calculated into _acme.news", rules(rule("iif(mine.news, true, false)", "_acme.news", sourceType="text/x.aep-xl", expressionAttributes=["mine.news"])), mapping("mine.news"), of="mine.news"),
    Case("mapping", "wrong", "_acme.email is of the type object", rules(rule("f(mine.news)", "_acme.news", sourceType="EXPRESSION", expressionAttributes=["mine.news"]), rule("mine.news", "_acme.email")), mapping("mine.news"), of="mine.news"),
    Case("mapping", "wrong", "_acme.email is of the type object", rules(rule("mine.news", "_acme.email"), rule("f(mine.news)", "_acme.news", sourceType="EXPRESSION", expressionAttributes=["mine.news"])), mapping("mine.news"), of="mine.news"),
    Case("mapping", "ok", "writes it to _acme.news", rules(rule("${_acme.news}", "/_acme/news")), of="_acme.news"),
    Case("mapping", "wrong", "no such field (did you mean _acme.news?); change the mapping's id", {}, mapping("_acme.newz"), "xdm", "_acme.newz"),
    Case("mapping", "wrong", "no such field (did you mean _acme.customerId?)", {}, mapping("customerid", "metadata_x"), "xdm", "customerid"),
    Case("mapping", "wrong", "is of the type string, and a boolean is sent", {}, mapping("_acme.tier"), "xdm", "_acme.tier"),
    Case("mapping", "wrong", 'set the mapping\'s format to "consent-val", or map to _acme.email.val', {}, mapping("_acme.email"), "xdm", "_acme.email"),
    Case("mapping", "wrong", "_acme.tags is a list", {}, mapping("_acme.tags.first", "metadata_x"), "xdm", "_acme.tags.first"),
    Case("mapping", "wrong", "takes only y, u, and n is sent", {"schemas": [schema(properties={"c": {"properties": {"val": {"type": "string", "enum": ["y", "u"]}}}})]}, mapping("c", format="consent-val"), "xdm", "c"),
    Case("mapping", "wrong", "takes only gold, none, and off is sent", {}, mapping("_acme.tier", "metadata_tier", empty="off"), "xdm", "_acme.tier"),
    Case("mapping", "wrong", "is of the type boolean, and a text is sent", {}, mapping("_acme.news", absent="u"), "xdm", "_acme.news"),
    Case("mapping", "wrong", "has no field val", {"schemas": [schema(properties={"c": {"type": "object", "properties": {}}})]}, mapping("c", format="consent-val"), "xdm", "c"),
    Case("mapping", "wrong", "does not read it; map it there (that path is written from other)", rules(rule("other", "_acme.news")), of="_acme.news"),
    Case("mapping", "wrong", "did you mean _acme.newsletter, which it reads?", rules(rule("_acme.newsletter", "_acme.news")), mapping("_acme.newsleter"), of="_acme.newsleter"),
    Case("mapping", "wrong", "writes it to _acme.gone, which the schema does not have", rules(rule("_acme.news", "_acme.gone")), of="_acme.news"),
    Case("mapping", "wrong", "and an object is sent", rules(rule("x", "_acme.news")), mapping("x", format="consent-val"), of="x"),
    Case("mapping", "wrong", "has no such field", refused("view-sources"), mapping("_acme.nothing"), "xdm", "_acme.nothing"),
    Case("mapping", "unclear", "needs the flow", refused("view-sources"), of="_acme.news"),
    Case("mapping", "unclear", "'View Sources and View Schemas'", refused("mapping-sets"), of="_acme.news"),
    Case("mapping", "unclear", "'View Schemas'", refused("view-schemas"), of="_acme.news", kind="xdm"),
    Case("mapping", "unclear", "it may be in a calculated one", rules(rule("f(x)", "_acme.news", sourceType="EXPRESSION")), of="_acme.news"),
    Case("mapping", "unclear", "whether Data Prep converts it", rules(rule("_acme.news", "_acme.tier")), of="_acme.news"),
    Case("required", "ok", "nothing that is not sent", {"schemas": [schema(required=["personalEmail", "_acme"])]}, kind="xdm"),
    Case("required", "ok", "nothing that is not sent", {"schemas": [schema(properties={"c": {"type": "object", "properties": {"val": {"type": "string"}}, "required": ["val"]}})]}, mapping("c", format="consent-val"), "xdm"),
    Case("required", "wrong", "requires personID, which nothing sends", {"schemas": [schema(required=["personID"])]}, kind="xdm"),
    Case("required", "unclear", "'View Schemas'", refused("view-schemas"), kind="xdm"),
    Case("authentication", "ok", "a token does no harm", {"flow": {"authentication_required": None}}),
    Case("flow", "unclear", "does not tell its state", {"flow": {"state": ""}}),
    Case("identity", "wrong", "does not read identityMap", {"descriptors": []}, {"identities": {"email": {"location": "identity-map"}}}, of="email"),
    Case("identity-dataset", "ok", "for Identity Service alone", datasets(), IDENTITY_DATASET),
    Case("identity-dataset", "wrong", "there is no such dataset", {}, IDENTITY_DATASET),
    Case("identity-dataset", "wrong", "would overwrite profiles", {"datasets": {"dataset": dataset(), "identities": dataset()}}, IDENTITY_DATASET),
    Case("identity-dataset", "wrong", "enable the identity dataset for Identity Service", datasets(unifiedIdentity=[]), IDENTITY_DATASET),
    Case("identity-dataset", "wrong", "has another schema", {"datasets": {"dataset": dataset(), "identities": dataset() | {"schemaRef": {"id": OTHER}}}}, IDENTITY_DATASET),
    Case("identity-dataset", "unclear", "'View Datasets'", refused("view-datasets"), IDENTITY_DATASET),
    Case("look-up", "ok", "knows nobody of an invented id", kind="xdm", config={"payload_mode": "auto", "events": "event"}, of="email"),
    Case("look-up", "ok", "is permitted", {}, LOOK_UP, of="email"),
    Case("look-up", "wrong", "mend identities.email.namespace", {}, LOOK_UP | {"identities": {"email": {"namespace": "Mail"}}}, of="email"),
    Case("look-up", "wrong", "everybody would be found", {}, LOOK_UP, of="email", faults=({"target": "lookup", "kind": "status", "status": 200, "body": {"x": {"entity": {"a": 1}}}},)),
    Case("look-up", "unclear", "'View Profiles'", refused("view-profiles"), LOOK_UP, of="email"),
    Case("look-up", "unclear", "no usable answer", {}, LOOK_UP, of="email", faults=({"target": "lookup", "kind": "status", "status": 404, "body": "gone"},)),
    Case("runs", "ok", "none is listed"),
    Case("runs", "ok", "none is listed", failed_run(NOW_MS - 90_000_000)),
    Case("runs", "wrong", "1 of the last 1 runs failed or lost records, 3 in all (MAPPER-3700-400)", failed_run(NOW_MS)),
    Case("runs", "unclear", "needs the flow", refused("view-sources")),
]
