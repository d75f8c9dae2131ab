"""Whatever Adobe's documents look like, each check has its lines, and none fails."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.adobe.check.cases import failed_run
from tests.unit.adobe.check.set_ups import dataset, primary, rule, schema
from tests.unit.examples import integration
from tests.unit.privacy.conftest import places, put
from worker.adobe.check.check_integration import judge
from worker.adobe.check.customer_setup import LookedUp, SetUp
from worker.adobe.check.platform_reads import Found, NotAsked, NotFound, Refused, Unanswered
from worker.integrations.model import Integration

_LEAVES = [None, True, 0, -1, 1e308, float("nan"), "", "a.b", "x" * 300, "\x1b[2J"]
_NAMES = st.sampled_from(["id", "type", "properties", "enum"])
ODD: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(_LEAVES),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner),
    max_leaves=4,
)
NOTHING = (Refused("d"), NotFound("d"), Unanswered("d"), NotAsked("d"))
FLOW = {
    "id": "flow",
    "state": "enabled",
    "imsOrgId": "ABC@AdobeOrg",
    "flowSpec": {"id": "x"},
    "transformations": [{"params": {"mappingId": "m", "mappingVersion": 0}}],
}
CONNECTION = {"auth": {"params": {"dataType": "raw", "inletUrl": "https://a/b"}}}
TARGET = {"params": {"dataSetId": "d"}, "data": {"schema": {"id": "s"}}}
DOCUMENTS: dict[str, Any] = {
    "sandboxes": {"sandboxes": [{"name": "prod", "state": "active", "type": "production"}]},
    "flow": FLOW,
    "connection": CONNECTION,
    "target": TARGET,
    "dataset": dataset(),
    "schema": schema(),
    "descriptors": {"results": [primary()]},
    "namespaces": [{"id": 6, "code": "Email", "status": "ACTIVE"}],
    "mapping_set": {"mappings": [rule("_acme.news"), rule("f(x)", "y", sourceType="EXPRESSION")]},
    "identity_dataset": dataset(),
    "runs": {"items": failed_run(0)["runs"]["flow"]},
}
TARGETS: list[Integration] = [
    integration(
        upsert_mode=False, identity_dataset_id="i", identities={"email": {"namespace": "Email"}}
    ),
    integration(
        payload_mode="xdm",
        events="user",
        event_time_path="_acme.seen",
        identities={"email": {"location": "identity-map"}},
    ),
]


def checks(target: Integration, found: SetUp) -> set[str]:
    return {one.check for one in judge(target, found)}


def set_up(**answers: Any) -> SetUp:
    known = {name: Found(one) for name, one in DOCUMENTS.items()}
    return SetUp(0, look_ups=(LookedUp("email", None),), **(known | answers))


@settings(max_examples=20)
@example(odd=True)
@example(odd=1.5)
@example(odd=[None])
@example(odd={"id": {}})
@given(odd=ODD)
def test_any_value_in_any_place(odd: Any) -> None:
    for target in TARGETS:
        expected = checks(target, set_up())
        for name, whole in DOCUMENTS.items():
            assert checks(target, set_up(**{name: Found(odd)})) == expected
            for place in places(whole):
                changed = _copy(whole)
                put(changed, place, odd)
                found = set_up(**{name: Found(changed)})
                assert checks(target, found) >= expected - {"namespace"}
                assert all("\x1b" not in one.text for one in judge(target, found))


def test_without_any_one_answer_every_check_has_a_line() -> None:
    for target in TARGETS:
        for name in DOCUMENTS:
            for nothing in NOTHING:
                found = checks(target, set_up(**{name: nothing}))
                assert found == checks(target, set_up())


def _copy(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _copy(one) for key, one in document.items()}
    return [_copy(one) for one in document] if isinstance(document, list) else document
