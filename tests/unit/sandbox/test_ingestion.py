"""Streaming ingestion checks and answers as Adobe documents it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.conftest import Caller, upsert, xdm
from worker.sandbox.collection import NO_HEADER, UNKNOWN_FORMAT, WRONG_ORGANIZATION

KEY = ("d", "a@b.example")


async def test_a_message_is_received_and_stored(caller: Caller) -> None:
    answer = await caller.send(xdm(_id="p1", x=1))
    assert answer.status == 200
    assert answer.body.keys() == {"inletId", "xactionId", "receivedTimeMs"}
    assert caller.state.profiles[("d", "p1")].record == {"_id": "p1", "x": 1}


async def test_without_a_token_401_with_the_status_as_text(caller: Caller) -> None:
    caller.bearer = ""
    answer = await caller.send(upsert())
    assert answer.status == 401
    assert answer.body["status"] == "401"
    assert answer.body["report"] == {"message": "[i] Ims service token is empty"}


async def test_a_revoked_token_is_refused_until_a_new_one(caller: Caller) -> None:
    await caller.call("POST", "/admin/tokens/revoke")
    assert (await caller.send(upsert())).status == 403
    assert (await caller.look_up()).status == 401
    caller.bearer = (await caller.token()).body["access_token"]
    assert (await caller.send(upsert())).status == 200


async def test_an_expired_token_is_refused(caller: Caller) -> None:
    await caller.call("PUT", "/admin/settings", json={"token_lifetime_seconds": 0})
    caller.bearer = (await caller.token()).body["access_token"]
    assert (await caller.send(upsert())).status == 403


async def test_an_inlet_without_authentication_wants_no_token(caller: Caller) -> None:
    await caller.call("PUT", "/admin/inlets/i", json={"authenticated": False})
    caller.bearer = ""
    assert (await caller.send(upsert())).status == 200


def _header(**changes: Any) -> dict[str, Any]:
    message = upsert()
    message["header"] = {k: v for k, v in (message["header"] | changes).items() if v is not None}
    return message


def _other_schema() -> dict[str, Any]:
    message = xdm(_id="p1")
    message["body"]["xdmMeta"]["schemaRef"]["id"] = "https://ns.adobe.com/t/schemas/2"
    return message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([], NO_HEADER),
        ({"body": {}}, NO_HEADER),
        ({"header": upsert()["header"]}, UNKNOWN_FORMAT),
        (_header(imsOrgId=None), WRONG_ORGANIZATION),
        (_header(datasetId=None), UNKNOWN_FORMAT),
        (_header(flowId=None), UNKNOWN_FORMAT),
        (_header(datasetId={"id": "d"}), UNKNOWN_FORMAT),
        (_header(schemaRef="https://ns.adobe.com/t/schemas/1"), UNKNOWN_FORMAT),
        (_header(schemaRef={}), UNKNOWN_FORMAT),
        (xdm() | {"header": upsert()["header"]}, UNKNOWN_FORMAT),
        (_other_schema(), UNKNOWN_FORMAT),
    ],
)
async def test_a_malformed_envelope_is_refused(caller: Caller, message: Any, text: str) -> None:
    answer = await caller.send(message)
    assert (answer.status, answer.body["status"]) == (400, 400)
    assert answer.body["title"] == "Invalid XDM Message Format"
    assert answer.body["report"]["message"].startswith("inletId: [i] imsOrgId: [")
    assert answer.body["report"]["message"].endswith(text)


@pytest.mark.parametrize("place", ["headers", "params"])
async def test_the_flow_id_may_stand_outside_of_the_message(caller: Caller, place: str) -> None:
    where = {place: {"x-adobe-flow-id": "f"}}
    answer = await caller.send(_header(flowId=None), "/collection/i", **where)
    assert answer.status == 200


@pytest.mark.parametrize(
    ("registered", "text"),
    [
        ({"ims_org_id": "P@AdobeOrg"}, WRONG_ORGANIZATION),
        ({"dataset_id": "e"}, UNKNOWN_FORMAT),
        ({"flow_id": "g"}, UNKNOWN_FORMAT),
        ({"schema_id": "https://ns.adobe.com/t/schemas/2"}, UNKNOWN_FORMAT),
    ],
)
async def test_a_registered_inlet_refuses_what_is_not_its_own(
    caller: Caller, registered: dict[str, str], text: str
) -> None:
    assert (await caller.send(xdm(_id="p1"))).status == 200
    await caller.call("PUT", "/admin/inlets/i", json=registered)
    answer = await caller.send(xdm(_id="p1"))
    assert answer.status == 400
    assert answer.body["report"]["message"].endswith(text)


@pytest.mark.parametrize("field", ["datasetId", "flowId", "imsOrgId"])
async def test_a_header_field_of_another_type_is_not_the_registered_one(
    caller: Caller, field: str
) -> None:
    registered = {"dataset_id": "d", "flow_id": "f", "ims_org_id": "O@AdobeOrg"}
    await caller.call("PUT", "/admin/inlets/i", json=registered)
    assert (await caller.send(_header(**{field: ["x"]}))).status == 400


async def test_content_type_size_and_syntax_are_checked(caller: Caller) -> None:
    json = {"Content-Type": "application/json"}
    for body, headers, status in (
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"x" * 1_048_577, json, 413),
        (b"{", json, 400),
    ):
        answer = await caller.call("POST", "/collection/i", data=body, headers=headers)
        assert answer.status == status


@pytest.mark.parametrize("form", ["statusCode", "status"])
async def test_many_messages_are_judged_one_by_one(caller: Caller, form: str) -> None:
    await caller.call("PUT", "/admin/settings", json={"batch_status_key": form})
    messages = [upsert(x=1), {"body": {}}, upsert(y=2)]
    answer = await caller.send({"messages": messages}, "/collection/batch/i")
    assert answer.status == 207
    first, second, third = answer.body["responses"]
    assert first.keys() == third.keys() == {"xactionId"}
    assert second[form] == 400
    assert caller.state.profiles[KEY].record.items() >= {"x": 1, "y": 2}.items()
    assert (await caller.send({"x": 1}, "/collection/batch/i")).status == 400


@pytest.mark.parametrize("value", [None, "", [], {}, {"deep": None}, [None]])
async def test_empty_values_are_refused_after_the_answer(caller: Caller, value: Any) -> None:
    answer = await caller.send(upsert(x=value))
    assert answer.status == 200
    assert not caller.state.profiles
    failures = (await caller.call("GET", "/admin/failures")).body
    assert [one["xactionId"] for one in failures] == [answer.body["xactionId"]]


async def test_a_record_without_identity_or_entity_is_refused_after_the_answer(
    caller: Caller,
) -> None:
    without_entity = xdm()
    del without_entity["body"]["xdmEntity"]
    without_entries = xdm(identityMap={"Email": {"id": "a@b.example"}, "CRM": ["a"]})
    for message in (xdm(x=1), without_entries, without_entity):
        assert (await caller.send(message)).status == 200
    assert len(caller.state.failures) == 3
    assert not caller.state.profiles


async def test_synchronous_validation_tells_at_once_and_stores_the_valid(
    caller: Caller,
) -> None:
    valid = {"syncValidation": "true"}
    answer = await caller.send(upsert(), params=valid)
    assert (answer.status, answer.body["syncValidation"]) == (200, {"status": "pass"})
    answer = await caller.send(upsert(x=None), params=valid)
    assert answer.status == 400
    (violation,) = answer.body["report"]["cause"]["_streamingValidation"]
    assert violation["pointerToViolation"] == "#/x"
    assert caller.state.profiles[KEY].record == upsert()["body"]
