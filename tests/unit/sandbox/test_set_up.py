"""The reads of an organization's set-up, in the forms of Adobe's pages."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from tests.unit.adobe.check.set_ups import SCHEMA, set_up
from tests.unit.sandbox.conftest import GATEWAY, Answer, Caller

FLOWS = "/data/foundation/flowservice"
SCHEMAS = "/data/foundation/schemaregistry/tenant"
SCHEMA_PATH = f"{SCHEMAS}/schemas/https%3A%2F%2Fns.adobe.com%2Facme%2Fschemas%2F1"
FORMAT = {"Accept": "application/vnd.adobe.xed-full-notext+json; version=1"}
DESCRIPTORS = {"Accept": "application/vnd.adobe.xdm-v2+json"}
PATHS = {
    f"{FLOWS}/flows/flow": "view-sources",
    f"{FLOWS}/runs": "view-sources",
    "/data/foundation/catalog/dataSets/dataset": "view-datasets",
    SCHEMA_PATH: "view-schemas",
    f"{SCHEMAS}/descriptors": "view-schemas",
    "/data/core/idnamespace/identities": "view-identity-namespaces",
    "/data/foundation/conversion/mappingSets/mappings-flow": "mapping-sets",
    "/data/foundation/sandbox-management/": "sandboxes",
}


async def get(caller: Caller, path: str, **options: Any) -> Answer:
    headers = GATEWAY | options.pop("headers", {})
    url = caller.sandbox.url + path
    bearer = {"Authorization": f"Bearer {caller.bearer}"} if caller.bearer else {}
    async with caller.session.get(
        URL(url, encoded=True), headers=headers | bearer, **options
    ) as reply:
        body = await reply.json() if await reply.read() else None
        return Answer(reply.status, body, dict(reply.headers))


@pytest.fixture
async def asked(caller: Caller) -> Caller:
    assert (await caller.call("PUT", "/admin/set-up", json=set_up())).status == 200
    return caller


async def test_a_look_up_by_id_is_a_list_of_one(asked: Caller) -> None:
    for kind, one in (
        ("flows", "flow"),
        ("sourceConnections", "source-flow"),
        ("connections", "base-flow"),
        ("targetConnections", "target-flow"),
    ):
        answer = await get(asked, f"{FLOWS}/{kind}/{one}")
        assert [item["id"] for item in answer.body["items"]] == [one]
        answer = await get(asked, f"{FLOWS}/{kind}/other")
        assert (answer.status, answer.body["type"].rpartition("/")[2]) == (404, "FLOW-1439-404")


async def test_sandboxes_come_in_pages_without_those_that_the_role_does_not_hold(
    asked: Caller,
) -> None:
    more = [{"name": f"dev-{number}"} for number in range(50)]
    sandboxes = [{"name": "kept", "hidden": True}, *more]
    await asked.call("PUT", "/admin/set-up", json={"sandboxes": sandboxes})
    path = "/data/foundation/sandbox-management/"
    first, second = await get(asked, path), await get(asked, f"{path}?offset=50")
    assert first.body["_page"] == {"limit": 50, "count": 50}
    assert [one["name"] for one in first.body["sandboxes"][:2]] == ["prod", "dev-0"]
    assert [one["name"] for one in second.body["sandboxes"]] == ["dev-49"]


async def test_flows_are_those_of_the_sandbox(asked: Caller) -> None:
    assert len((await get(asked, f"{FLOWS}/flows")).body["items"]) == 1
    dev = {"x-sandbox-name": "dev"}
    assert (await get(asked, f"{FLOWS}/flows", headers=dev)).body["items"] == []
    answer = await get(asked, f"{FLOWS}/flows/flow", headers=dev)
    assert (answer.status, answer.body["type"].rpartition("/")[2]) == (404, "FLOW-2100-404")


@pytest.mark.parametrize(
    ("accept", "status", "code"),
    [
        ("application/vnd.adobe.xed-full+json; version=1", 200, None),
        ("application/vnd.adobe.xed-full+json;version=1", 200, None),
        ("application/vnd.adobe.xed-full+json", 400, "XDM-1007-400"),
        ("application/json", 400, "XDM-1007-400"),
        ("application/vnd.adobe.xed-all+json; version=1", 406, None),
        ("application/vnd.adobe.xed-full+json; version=2", 406, None),
    ],
)
async def test_a_schema_has_formats(
    asked: Caller, accept: str, status: int, code: str | None
) -> None:
    answer = await get(asked, SCHEMA_PATH, headers={"Accept": accept})
    assert answer.status == status
    if code is not None:
        assert answer.body["type"].endswith(code)
    if status == 200:
        assert answer.body["$id"] == SCHEMA


async def test_a_schema_has_another_id_or_is_not_found(asked: Caller) -> None:
    answer = await get(asked, f"{SCHEMAS}/schemas/_acme.schemas.1", headers=FORMAT)
    assert answer.body["$id"] == SCHEMA
    answer = await get(asked, f"{SCHEMAS}/schemas/other", headers=FORMAT)
    assert (answer.status, answer.body["type"].rpartition("/")[2]) == (404, "XDM-1010-404")


async def test_descriptors_are_those_of_a_schema(asked: Caller) -> None:
    query = {"property": f"xdm:sourceSchema=={SCHEMA}"}
    answer = await get(asked, f"{SCHEMAS}/descriptors", headers=DESCRIPTORS, params=query)
    (descriptor,) = answer.body["results"]
    assert descriptor["xdm:sourceProperty"] == "/personalEmail/address"
    answer = await get(asked, f"{SCHEMAS}/descriptors", params=query)
    assert answer.body["type"].endswith("XDM-1008-400")


async def test_a_dataset_is_keyed_by_its_id_and_has_what_is_asked_for(asked: Caller) -> None:
    path = "/data/foundation/catalog/dataSets/dataset"
    answer = await get(asked, path, params={"properties": "name,tags"})
    assert {key: sorted(one) for key, one in answer.body.items()} == {"dataset": ["name", "tags"]}


async def test_runs_are_of_the_flow_the_newest_first(asked: Caller) -> None:
    runs = {"flow": [{"createdAt": 1}, {"createdAt": 2}], "other": [{"createdAt": 3}]}
    await asked.call("PUT", "/admin/set-up", json={"runs": runs})
    query = {"property": "flowId==flow", "orderby": "-createdAt", "limit": "1"}
    answer = await get(asked, f"{FLOWS}/runs", params=query)
    assert answer.body == {"items": [{"createdAt": 2}]}


@pytest.mark.parametrize(("path", "right"), PATHS.items())
async def test_each_right_is_refused_alone(asked: Caller, path: str, right: str) -> None:
    headers = DESCRIPTORS if path.endswith("descriptors") else FORMAT
    await asked.call("PUT", "/admin/set-up", json={"refused": {right: 403}})
    for other, needed in PATHS.items():
        of_other = DESCRIPTORS if other.endswith("descriptors") else FORMAT
        answer = await get(asked, other, headers=of_other)
        assert answer.status == (403 if needed == right else 200), other
    await asked.call("PUT", "/admin/set-up", json={"refused": {}})
    assert (await get(asked, path, headers=headers)).status == 200


@pytest.mark.parametrize("path", PATHS)
async def test_the_gateway_wants_credentials(asked: Caller, path: str) -> None:
    bearer, asked.bearer = asked.bearer, ""
    assert (await get(asked, path)).body["error_code"] == "403010"
    asked.bearer = "old"
    assert (await get(asked, path)).status == 401
    asked.bearer = bearer
    assert (await get(asked, path, headers={"x-api-key": ""})).body["error_code"] == "403000"
    assert (await get(asked, path, headers={"x-gw-ims-org-id": ""})).status == 403


@pytest.mark.parametrize("key", ["*", "O@AdobeOrg", f"{FLOWS}/flows/flow", "view-sources"])
async def test_a_fault_is_staged_for_the_platform(asked: Caller, key: str) -> None:
    fault = {"target": "platform", "kind": "status", "status": 429, "key": key, "times": 1}
    await asked.call("POST", "/admin/faults", json=fault)
    assert (await get(asked, f"{FLOWS}/flows/flow")).status == 429
    assert (await get(asked, f"{FLOWS}/flows/flow")).status == 200


async def test_a_look_up_by_an_unknown_namespace_once_some_are_told(caller: Caller) -> None:
    assert (await caller.look_up(entityIdNS="CRM")).status == 404
    await caller.call("PUT", "/admin/set-up", json=set_up())
    assert (await caller.look_up(entityIdNS="CRM")).status == 422
    assert (await caller.look_up(entityIdNS="email")).status == 404
    await caller.call("PUT", "/admin/set-up", json={"refused": {"view-profiles": 403}})
    answer = await caller.look_up()
    assert (answer.status, answer.body["message"][:15]) == (403, "UPS-ACC-1000004")


async def test_what_is_shown_can_be_put_again(asked: Caller) -> None:
    shown = (await asked.call("GET", "/admin/set-up")).body
    assert shown["dataflows"][0]["id"] == "flow"
    shown["descriptors"] = []  # a list to which what is put is added
    assert (await asked.call("PUT", "/admin/set-up", json=shown)).status == 200


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"flows": []}, "unknown: flows; known: dataflows"),
        ({"dataflows": {}}, "dataflows must be a list"),
        ({"dataflows": [{"id": "x"}]}, "missing 4 required"),
        ({"dataflows": [{"id": "x", "kind": "raw"}]}, "kind"),
        ({"dataflows": [set_up(flow={"data_type": "XDM"})["dataflows"][0]]}, "data_type must be"),
        ({"datasets": []}, "datasets must be an object"),
        ({"schemas": [{}]}, "$id must be text"),
        ({"refused": {"view-all": 403}}, "refused: must be some of view-sources"),
        ({"refused": {"view-sources": 200}}, "the status of view-sources"),
        ({"refused": {"view-schemas": 404}}, "the status of view-schemas"),
    ],
)
async def test_a_document_that_can_not_be_used_is_refused_whole(
    caller: Caller, document: dict[str, Any], said: str
) -> None:
    answer = await caller.call("PUT", "/admin/set-up", json=document | {"sandboxes": []})
    assert answer.status == 400
    assert said in answer.body["error"]
    assert not caller.state.organization.dataflows
