"""Each line of the check in each of its three states, by real calls to the emulator."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from tests.unit.adobe.check.cases import CASES, IDENTITY_DATASET, LOOK_UP, Case, datasets, refused
from tests.unit.adobe.check.conftest import Bench
from tests.unit.adobe.check.set_ups import ORG, set_up
from worker.adobe.check.report_lines import CheckName, Line, Verdict
from worker.sandbox.customer_organization import Right


@pytest.mark.parametrize(
    "case", CASES, ids=lambda one: f"{one.check}-{one.verdict}-{one.said[:30]}"
)
async def test_a_line(bench: Bench, case: Case) -> None:
    bench.sandbox.state.credentials["c"] = ["s3cret"]
    for fault in case.faults:
        bench.sandbox.state.inject(**fault)
    lines = await bench.lines(case.kind, case.adobe, case.config)
    line = found(lines, case.check, case.of)
    assert (line.verdict, case.said in line.text) == (case.verdict, True), line


def found(lines: list[Line], check: str, of: str = "") -> Line:
    (line,) = [one for one in lines if (one.check, one.of) == (check, of)]
    return line


def test_every_line_is_shown_in_each_state() -> None:
    shown = {(one.check, one.verdict) for one in CASES}
    everything = {
        (check, verdict)
        for check in get_args(CheckName)
        for verdict in get_args(Verdict)
        if check != "test-record"
    }
    assert shown == everything


REFUSALS = [(right, status) for right in get_args(Right) for status in (401, 403)]


@pytest.mark.parametrize(("right", "status"), [*REFUSALS, ("view-sources", 404)])
@pytest.mark.parametrize("kind", ["raw", "xdm"])
async def test_a_refused_read_is_never_wrong(
    bench: Bench, kind: str, right: str, status: int
) -> None:
    lines = await bench.lines(kind, refused(right, status), LOOK_UP)
    assert [one for one in lines if one.verdict == "wrong"] == []
    expected = right != "mapping-sets" or kind == "raw"
    assert any(one.verdict == "unclear" for one in lines) == expected


RIGHT: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "raw": ("raw", {}, {}),
    "raw without authentication": (
        "raw",
        {"flow": {"authentication_required": False}},
        {"authenticated": False},
    ),
    "raw with a look-up": ("raw", {}, LOOK_UP),
    "raw with identities": ("raw", datasets(), IDENTITY_DATASET),
    "of the Streaming SDK": (
        "raw",
        {"flow": {"flow_spec": "e77fde5a-22a8-11ed-861d-0242ac120002"}},
        {},
    ),
    "raw, the version a text": ("raw", {"flow": {"mapping_version": "0"}}, {}),
    "xdm": ("xdm", {}, {}),
    "xdm without authentication": (
        "xdm",
        {"flow": {"authentication_required": None}},
        {"authenticated": False},
    ),
    "xdm with a look-up": ("xdm", {}, LOOK_UP),
    "xdm with an identity map": (
        "xdm",
        {"descriptors": []},
        {"identities": {"email": {"location": "identity-map"}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
async def test_a_right_configuration_passes_and_nothing_is_written(bench: Bench, name: str) -> None:
    kind, adobe, config = RIGHT[name]
    lines = await bench.lines(kind, adobe, config)
    assert [one for one in lines if one.verdict != "ok"] == []
    asked = list(bench.sandbox.state.requests)
    assert {one["method"] for one in asked if not one["path"].startswith("/ims")} == {"GET"}
    assert [one for one in asked if one["inlet"]] == []
    assert bench.sandbox.state.profiles == {}
    assert not bench.sandbox.state.organization.runs


async def test_no_token_is_said_once_and_nothing_else_is_asked(bench: Bench) -> None:
    bench.sandbox.state.credentials["c"] = ["another"]
    lines = await bench.lines("raw", {}, {})
    assert [(one.check, one.verdict) for one in lines] == [("token", "wrong"), ("flow", "unclear")]
    assert len(bench.sandbox.state.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_what_passes_is_asked_again(bench: Bench, status: int) -> None:
    bench.sandbox.state.inject(target="platform", kind="status", status=status, times=2)
    lines = await bench.lines("raw", {}, {})
    assert [one for one in lines if one.verdict != "ok"] == []


async def test_a_check_ends_in_time_and_says_what_was_not_asked(bench: Bench) -> None:
    bench.sandbox.state.inject(target="platform", kind="hang", key="view-schemas")
    bench.put(set_up())
    lines = await bench.check(bench.integration(), seconds=0.5)
    assert found(lines, "flow").verdict == "ok"
    assert "not in time" in found(lines, "schema-profile").text
    assert found(lines, "runs").verdict == "unclear"


async def test_every_call_has_the_headers_of_the_platform(bench: Bench) -> None:
    await bench.lines("raw", {}, {"sandbox_name": "prod"})
    for one in bench.sandbox.state.requests:
        if one["path"].startswith("/data"):
            headers = one["headers"]
            assert headers["x-sandbox-name"] == "prod"
            assert headers["x-gw-ims-org-id"] == ORG
            assert {"Authorization", "x-api-key"} <= headers.keys()


async def test_the_look_up_asks_for_nobody(bench: Bench) -> None:
    await bench.lines("raw", {}, LOOK_UP)
    await bench.lines("raw", {}, LOOK_UP)
    asked = [
        one["query"]["entityId"]
        for one in bench.sandbox.state.requests
        if one["path"].endswith("/ups/access/entities")
    ]
    assert len(set(asked)) == 2
    assert all(one.endswith("@nobody.invalid") for one in asked)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "that of the flow and the dataset is the configured one"),
        ({"refused": {"view-datasets": 403}}, "that of the flow is the configured one"),
        ({"refused": {"view-sources": 403}}, "that of the dataset is the configured one"),
    ],
)
async def test_of_the_schema_it_is_said_where_it_was_read(
    bench: Bench, changes: dict[str, Any], expected: str
) -> None:
    bench.put(set_up() | changes)
    (line,) = (one for one in await bench.check(bench.integration()) if one.check == "schema")
    assert (line.verdict, line.text) == ("ok", expected)
