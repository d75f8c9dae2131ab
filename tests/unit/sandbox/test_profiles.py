"""What ends up in the store, and how the look-up shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.conftest import GATEWAY, Caller, upsert

KEY = ("d", "a@b.example")


async def test_merge_patches_create_replaces_delete_removes(caller: Caller) -> None:
    email = {"personalEmail": {"address": "a@b.example"}}
    for operation, change, expected in (
        ("merge", {"t": {"x": 1, "y": 1}}, {"t": {"x": 1, "y": 1}}),
        ("merge", {"t": {"x": 2}}, {"t": {"x": 2, "y": 1}}),
        (None, {"t": {"z": 3}}, {"t": {"z": 3}}),
        ("create", {}, {}),
    ):
        await caller.send(upsert(operation, **change))
        assert caller.state.profiles[KEY].record == email | expected
    await caller.send(upsert("delete"))
    assert not caller.state.profiles


@pytest.mark.parametrize(
    "record",
    [
        {"_id": "p"},
        {"personID": "p"},
        {"personalEmail": {"address": "p"}},
        {"identityMap": {"CRM": [{"id": "p", "primary": True}]}},
    ],
)
async def test_an_identity_is_found_in_its_usual_places(
    caller: Caller, record: dict[str, Any]
) -> None:
    await caller.send(upsert() | {"body": record})
    assert list(caller.state.profiles) == [("d", "p")]


async def test_a_seeded_profile_is_listed_and_found(caller: Caller) -> None:
    seed = {"dataset_id": "other", "identity": "a@b.example", "record": {"x": 1}}
    assert (await caller.call("PUT", "/admin/profiles", json=seed)).status == 200
    assert (await caller.call("GET", "/admin/profiles")).body == [seed]
    answer = await caller.look_up()
    ((xid, found),) = answer.body.items()
    assert xid != "a@b.example"
    entity = {"x": 1, "identityMap": {"Email": [{"id": "a@b.example"}]}}
    assert found == {"entityId": xid, "sources": ["other"], "entity": entity}
    refused = await caller.call("PUT", "/admin/profiles", json={"identity": "a"})
    assert refused.status == 400


async def test_not_found_comes_in_three_forms(caller: Caller) -> None:
    answer = await caller.look_up()
    assert (answer.status, answer.body) == (404, {"statusCode": "404"})
    await caller.call("PUT", "/admin/settings", json={"not_found": "empty-object"})
    answer = await caller.look_up()
    assert (answer.status, answer.body) == (200, {})
    await caller.call("PUT", "/admin/settings", json={"not_found": "empty-entity"})
    answer = await caller.look_up()
    assert [one["entity"] for one in answer.body.values()] == [{}]
    refused = await caller.call("PUT", "/admin/settings", json={"not_found": "?"})
    assert refused.status == 400


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": ""}, 403, "403010"),
        ({"Authorization": "Bearer x"}, 401, "401013"),
        ({"x-api-key": ""}, 403, "403000"),
        ({"x-gw-ims-org-id": ""}, 403, "403027"),
    ],
)
async def test_the_gateway_refuses(
    caller: Caller, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await caller.look_up(GATEWAY | headers)
    assert (answer.status, answer.body["error_code"]) == (status, code)


@pytest.mark.parametrize("name", ["schema.name", "entityId", "entityIdNS"])
async def test_a_look_up_needs_its_query(caller: Caller, name: str) -> None:
    assert (await caller.look_up(GATEWAY, **{name: ""})).status == 400
