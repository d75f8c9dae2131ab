"""Whatever message comes, the emulator takes or refuses it, and never fails itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.adobe.check.set_ups import ORG, SCHEMA, set_up
from tests.unit.sandbox.conftest import Caller, upsert, xdm
from worker.sandbox.collection import Refusal, accept, check_message, check_values
from worker.sandbox.dataflows import accept_for_inlet, check_for_inlet, check_values_for_flow
from worker.sandbox.emulator_state import SandboxState

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "d", "merge", "delete"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["id", "data", "address", "schemaRef", "x"]), inner)
    ),
    max_leaves=5,
)
FIELDS = ["imsOrgId", "datasetId", "flowId", "schemaRef", "operations"]
PARTS = ["personalEmail", "identityMap", "_id", "personID", "xdmMeta", "xdmEntity"]
MESSAGES = st.builds(
    lambda message, header, body: {
        "header": message["header"] | header,
        "body": message["body"] | body,
    },
    st.sampled_from([upsert(), xdm(_id="p1")]),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2),
    st.dictionaries(st.sampled_from(PARTS), JSON, max_size=2),
)


HEADER = {"imsOrgId": ORG, "datasetId": "dataset", "flowId": "flow"}
REFERENCE = {"id": SCHEMA, "contentType": "x;version=1"}
FOR_FLOW = st.builds(
    lambda header, rest: {"header": HEADER | {"schemaRef": REFERENCE} | header} | rest,
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=1),
    st.dictionaries(st.sampled_from([*PARTS, "body", "_acme"]), JSON, max_size=2)
    | st.builds(
        lambda body: {"body": {"xdmMeta": {"schemaRef": REFERENCE}} | body},
        st.dictionaries(st.sampled_from(PARTS), JSON, max_size=2),
    ),
)


@given(MESSAGES | st.fixed_dictionaries({"header": JSON, "body": JSON}) | JSON)
def test_a_message_is_taken_or_refused(message: Any) -> None:
    state = SandboxState()
    state.inlets["i"] = {"schema_id": "https://ns.adobe.com/t/schemas/1"}
    for inlet in ("i", "other"):
        try:
            check_message(state, inlet, None, message)
            accept(state, inlet, message)
            check_values(inlet, message)
        except Refusal as refusal:
            assert refusal.status == 400
    assert len(state.profiles) + len(state.failures) <= 2


@pytest.mark.parametrize("data_type", ["raw", "xdm"])
@given(message=FOR_FLOW | MESSAGES | JSON, flow_id=st.sampled_from([None, "flow"]))
@example(message={"header": HEADER}, flow_id=None)
def test_a_message_is_taken_or_refused_by_a_dataflow(
    data_type: str, message: Any, flow_id: str | None
) -> None:
    state = SandboxState()
    state.organization.put(set_up(data_type))
    try:
        flow = check_for_inlet(state, "shop", flow_id, message)
        assert flow is not None
        accept_for_inlet(state, flow, "shop", message)
        check_values_for_flow(state, flow, message)
    except Refusal as refusal:
        assert refusal.status == 400
    assert len(state.profiles) + len(state.failures) <= 1


async def test_a_raw_inlet_takes_an_object_with_a_header_and_no_body(caller: Caller) -> None:
    """To a raw inlet it is no envelope, but an object as any other."""
    caller.state.organization.put(set_up("raw"))
    message = {"header": {}, "personalEmail": {"address": "a@b.example"}}
    answer = await caller.send(message, "/collection/shop", headers={"x-adobe-flow-id": "flow"})
    assert answer.status == 200
    assert caller.state.find("a@b.example") is not None
