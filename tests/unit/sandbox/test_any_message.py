"""Whatever message comes, the emulator takes or refuses it, and never fails itself."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.sandbox.conftest import upsert, xdm
from worker.sandbox.collection import Refusal, accept, check_message, check_values
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
