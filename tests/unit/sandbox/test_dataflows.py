"""A registered dataflow behaves by the kind of its inlet; what is wrong shows after the answer."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.waiting import wait_until
from tests.unit.adobe.check.set_ups import ORG, SCHEMA, dataset, rule, schema, set_up
from tests.unit.sandbox.conftest import Answer, Caller
from worker.sandbox.collection import NO_HEADER, UNKNOWN_FORMAT, WRONG_ORGANIZATION

KEY = ("dataset", "lena@b.example")
FLOW = {"x-adobe-flow-id": "flow"}
PERSON = {"personalEmail": {"address": "lena@b.example"}}


def upsert(operation: str | None = "merge", **record: Any) -> dict[str, Any]:
    header: dict[str, Any] = {"imsOrgId": ORG, "datasetId": "dataset", "flowId": "flow"}
    if operation is not None:
        header["operations"] = {"data": operation}
    return {"header": header, "body": PERSON | record}


def xdm(entity: Any = None, **header: Any) -> dict[str, Any]:
    reference = {"id": SCHEMA, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    message = upsert(None)
    message["header"] |= {"schemaRef": reference} | header
    record = PERSON if entity is None else entity
    return message | {"body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": record}}


async def put(caller: Caller, data_type: str = "raw", **changes: Any) -> None:
    answer = await caller.call("PUT", "/admin/set-up", json=set_up(data_type, **changes))
    assert answer.status == 200, answer.body


async def send(caller: Caller, message: Any, **options: Any) -> Answer:
    return await caller.send(message, "/collection/shop", headers=FLOW, **options)


def failed(caller: Caller) -> list[str]:
    """The codes of what was dropped, by the flow's run and by the emulator's own list."""
    (run,) = caller.state.organization.runs["flow"]
    codes = [one["code"] for one in run["metrics"]["recordSummary"]["failedInfo"]]
    assert codes == [one["code"] for one in caller.state.failures]
    assert run["metrics"]["recordSummary"]["failedRecordCount"] == len(codes)
    return codes


async def test_what_is_carried_out_late_is_taken_by_the_kind_of_the_inlet(caller: Caller) -> None:
    await put(caller, flow={"mappings": [rule("mail", "personalEmail.address")]})
    fault = {"kind": "status", "status": 504, "applied_after_ms": 50}
    caller.state.inject(target="collection", times=1, **fault)
    message = upsert() | {"body": {"mail": "lena@b.example"}}
    assert (await send(caller, message)).status == 504
    await wait_until(lambda: caller.state.profiles, "the late application")
    assert caller.state.profiles[KEY].record == PERSON


async def test_a_raw_inlet_maps_and_merges(caller: Caller) -> None:
    rules = [rule("mail", "personalEmail.address"), rule("_acme.news"), rule("_acme.tier")]
    await put(caller, flow={"mappings": rules})
    for record in ({"_acme": {"news": "yes"}}, {"_acme": {"tier": "gold"}, "lost": 1}):
        message = upsert() | {"body": {"mail": "lena@b.example"} | record}
        assert (await send(caller, message)).status == 200
    record = caller.state.profiles[KEY].record
    assert record == PERSON | {"_acme": {"news": True, "tier": "gold"}}
    assert failed(caller) == []


async def test_a_raw_inlet_takes_a_flat_object_which_replaces(caller: Caller) -> None:
    await put(caller, flow={"mappings": [rule("mail", "personalEmail.address"), rule("_acme")]})
    flat = {"mail": "lena@b.example"}
    for record in ({"_acme": {"news": True}}, {"_acme": {"tier": "gold"}}):
        assert (await send(caller, flat | record)).status == 200
    assert caller.state.profiles[KEY].record == PERSON | {"_acme": {"tier": "gold"}}


async def test_a_raw_inlet_takes_an_envelope_and_drops_it(caller: Caller) -> None:
    await put(caller)
    assert (await send(caller, xdm())).status == 200
    assert failed(caller) == ["DCVS-1106-400"]
    assert not caller.state.profiles


async def test_an_xdm_inlet_takes_the_envelope_and_replaces(caller: Caller) -> None:
    await put(caller, "xdm")
    for values in ({"news": True}, {"tier": "gold"}):
        assert (await send(caller, xdm(PERSON | {"_acme": values}))).status == 200
    assert caller.state.profiles[KEY].record == PERSON | {"_acme": {"tier": "gold"}}
    assert failed(caller) == []


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (xdm(operations={"data": "merge"}), UNKNOWN_FORMAT),
        (upsert(), UNKNOWN_FORMAT),
        (PERSON, NO_HEADER),
        (xdm(imsOrgId="DEF@AdobeOrg"), WRONG_ORGANIZATION),
        (xdm(datasetId="other"), UNKNOWN_FORMAT),
        (xdm(flowId="other"), UNKNOWN_FORMAT),
        (xdm(schemaRef={"id": "other"}), UNKNOWN_FORMAT),
    ],
)
async def test_an_xdm_inlet_refuses_what_is_no_envelope_of_its_own(
    caller: Caller, message: Any, text: str
) -> None:
    await put(caller, "xdm")
    answer = await send(caller, message)
    assert answer.status == 400
    assert answer.body["report"]["message"].endswith(text)


@pytest.mark.parametrize(
    "message", [[], upsert() | {"header": {"flowId": "other"}}, xdm(datasetId="other")]
)
async def test_a_raw_inlet_refuses_what_is_of_another_flow(caller: Caller, message: Any) -> None:
    await put(caller)
    assert (await send(caller, message)).status == 400


async def test_a_raw_inlet_needs_the_flow_beside_a_flat_object(caller: Caller) -> None:
    await put(caller)
    assert (await caller.send(PERSON, "/collection/shop")).status == 400


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"_acme": {"news": "yes"}}, "DCVS-1104-400"),
        ({"_acme": {"tier": "silver"}}, "DCVS-1106-400"),
        ({"_acme": {"nws": True}}, "DCVS-1107-400"),
        ({"_acme": {"news": None}}, "DCVS-1101-400"),
        ({"_acme": {"tags": ["a", 1]}}, "DCVS-1104-400"),
        ({"identityMap": {"Email": {"id": "a"}}}, "DCVS-1104-400"),
        ({"personalEmail": {}}, "DCVS-1101-400"),
    ],
)
async def test_validation_comes_after_the_answer_unless_it_is_asked_for(
    caller: Caller, record: dict[str, Any], code: str
) -> None:
    await put(caller, "xdm")
    message = xdm(PERSON | record)
    assert (await send(caller, message)).status == 200
    assert failed(caller) == [code]
    answer = await send(caller, message, params={"syncValidation": "true"})
    assert answer.status == 400
    assert answer.body["report"]["cause"]["_streamingValidation"]
    assert failed(caller) == [code], "what is refused at once makes no failure"
    assert not caller.state.profiles


async def test_a_batch_is_validated_after_its_answer_too(caller: Caller) -> None:
    await put(caller, "xdm")
    messages = [xdm(), xdm(PERSON | {"x": 1}), xdm(operations={})]
    answer = await caller.send({"messages": messages}, "/collection/batch/shop", headers=FLOW)
    first, second, third = answer.body["responses"]
    assert ("xactionId" in first, "xactionId" in second, third["statusCode"]) == (True, True, 400)
    assert failed(caller) == ["DCVS-1107-400"]
    assert list(caller.state.profiles) == [KEY]


async def test_required_fields_are_required(caller: Caller) -> None:
    await put(caller, "xdm", schemas=[schema(required=["personID"])])
    await send(caller, xdm())
    assert failed(caller) == ["DCVS-1106-400"]


async def test_synchronous_validation_is_not_everywhere(caller: Caller) -> None:
    europe = {"name": "prod", "state": "active", "region": "NLD2"}
    await put(caller, "xdm", sandboxes=[europe])
    answer = await send(caller, xdm(), params={"syncValidation": "true"})
    assert answer.status == 501
    assert not caller.state.profiles


@pytest.mark.parametrize(
    "changes",
    [
        {"datasets": {"dataset": dataset(unifiedProfile=["enabled:false"])}},
        {"schemas": [schema(**{"meta:immutableTags": []})]},
    ],
)
async def test_profile_takes_nothing_that_is_not_enabled_for_it(
    caller: Caller, changes: dict[str, Any]
) -> None:
    await put(caller, "xdm", **changes)
    assert (await send(caller, xdm())).status == 200
    assert failed(caller) == []
    assert not caller.state.profiles


async def test_an_identity_map_stands_in_for_no_field(caller: Caller) -> None:
    entry = {"Email": [{"id": "lena@b.example", "primary": True}]}
    await put(caller, "xdm")
    await send(caller, xdm({"identityMap": entry}))
    assert failed(caller) == ["DCVS-1106-400"]
    caller.state.organization.descriptors.clear()
    await send(caller, xdm({"identityMap": entry}))
    assert list(caller.state.profiles) == [KEY]


async def test_an_inlet_without_authentication_wants_no_token(caller: Caller) -> None:
    await put(caller, flow={"authentication_required": None})
    caller.bearer = ""
    assert (await send(caller, upsert())).status == 200
