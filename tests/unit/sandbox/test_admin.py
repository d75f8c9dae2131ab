"""The emulator's own API: what it takes, what it refuses, and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.conftest import Caller, upsert

SEED = {"dataset_id": "d", "identity": "a@b.example", "record": {"x": 1}}


@pytest.mark.parametrize(
    ("method", "path", "document", "said"),
    [
        pytest.param("PUT", "profiles", [], "a JSON object", id="a list"),
        pytest.param("PUT", "profiles", {"identity": "a"}, "are expected", id="half a profile"),
        pytest.param("PUT", "profiles", SEED | {"x": 1}, "are expected", id="unknown field"),
        pytest.param("PUT", "profiles", SEED | {"record": 1}, "must be an object", id="record"),
        pytest.param("PUT", "profiles", SEED | {"identity": {}}, "must be text", id="identity"),
        pytest.param("PUT", "profiles", SEED | {"dataset_id": 7}, "must be text", id="dataset"),
        pytest.param("PUT", "credentials/c", {}, "one or two", id="no secrets"),
        pytest.param("PUT", "credentials/c", {"secrets": []}, "one or two", id="empty secrets"),
        pytest.param("PUT", "settings", {"not_found": "?"}, "not_found must be", id="not_found"),
        pytest.param(
            "PUT", "settings", {"batch_status_key": "?"}, "batch_status_key must be", id="batch"
        ),
        pytest.param(
            "PUT", "settings", {"token_lifetime_seconds": "1"}, "whole number", id="lifetime"
        ),
        pytest.param("POST", "faults", [], "a JSON object", id="fault as a list"),
        pytest.param("POST", "faults", {"kind": "hang"}, "target", id="fault without target"),
        pytest.param(
            "POST",
            "faults",
            {"target": "token", "kind": "hang", "colour": "red"},
            "colour",
            id="unknown field of a fault",
        ),
        pytest.param(
            "POST", "faults", {"target": "token", "kind": "?"}, "kind must be", id="fault's kind"
        ),
        pytest.param(
            "POST", "faults", {"target": "?", "kind": "hang"}, "target must be", id="its target"
        ),
        pytest.param(
            "POST",
            "faults",
            {"target": "token", "kind": "hang", "times": "2"},
            "times must be a number",
            id="its times",
        ),
        pytest.param(
            "POST",
            "faults",
            {"target": "token", "kind": "status", "status": None},
            "status must be",
            id="its status is null",
        ),
        pytest.param(
            "POST",
            "faults",
            {"target": "token", "kind": "status", "status": 42},
            "status must be",
            id="its status is none of HTTP's",
        ),
        pytest.param(
            "POST",
            "faults",
            {"target": "token", "kind": "hang", "key": ["c"]},
            "key must be text",
            id="its key",
        ),
    ],
)
async def test_what_cannot_be_used_is_refused_with_the_reason(
    caller: Caller, method: str, path: str, document: Any, said: str
) -> None:
    answer = await caller.call(method, f"/admin/{path}", json=document)
    assert answer.status == 400
    assert said in answer.body["error"]
    assert not caller.state.faults.active()
    assert not caller.state.profiles
    assert not caller.state.credentials


async def test_what_is_no_json_is_refused(caller: Caller) -> None:
    answer = await caller.call("PUT", "/admin/profiles", data=b"{")
    assert answer.status == 400
    assert answer.body["error"]


async def test_a_refused_setting_changes_none_of_its_document(caller: Caller) -> None:
    document = {"token_lifetime_seconds": 5, "not_found": "?"}
    assert (await caller.call("PUT", "/admin/settings", json=document)).status == 400
    assert (await caller.token()).body["expires_in"] == 86_399


async def test_a_registered_inlet_is_echoed(caller: Caller) -> None:
    answer = await caller.call("PUT", "/admin/inlets/i", json={"dataset_id": "d"})
    assert (answer.status, answer.body) == (200, {"dataset_id": "d"})


async def test_faults_are_listed_oldest_first_and_cleared_one_by_one_or_all(
    caller: Caller,
) -> None:
    fault = {"target": "token", "kind": "refuse-token", "key": "c", "times": 3}
    first = (await caller.call("POST", "/admin/faults", json=fault)).body
    second = (await caller.call("POST", "/admin/faults", json=fault | {"key": "d"})).body
    assert first.items() >= fault.items()
    listed = (await caller.call("GET", "/admin/faults")).body
    assert listed == [first, second]
    await caller.call("DELETE", f"/admin/faults/{first['id']}")
    assert (await caller.call("GET", "/admin/faults")).body == [second]
    assert (await caller.call("DELETE", "/admin/faults/unknown")).status == 200
    await caller.call("DELETE", "/admin/faults")
    assert (await caller.call("GET", "/admin/faults")).body == []


async def test_an_unknown_address_is_no_part_of_the_admin_api(caller: Caller) -> None:
    async with caller.session.get(f"{caller.sandbox.url}/admin/nothing") as reply:
        assert reply.status == 404


async def test_failures_tell_inlet_transaction_and_place(caller: Caller) -> None:
    answer = await caller.send(upsert(x=None))
    (failure,) = (await caller.call("GET", "/admin/failures")).body
    assert failure["inlet"] == "i"
    assert failure["xactionId"] == answer.body["xactionId"]
    assert failure["at"] == ["/x"]
