"""The parts that rules are made of: endpoints, paths of a schema, rules of a mapping set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.adobe.check.set_ups import objects, rule, schema, text
from tests.unit.examples import integration
from worker.adobe.check.customer_setup import UNSHOWN, SetUp, first_item, shown_name
from worker.adobe.check.flow_rules import judge_runs, same_endpoint
from worker.adobe.check.mapping_rules import judge_mappings
from worker.adobe.check.mapping_set import rules_of
from worker.adobe.check.platform_reads import Found, NotFound
from worker.adobe.check.report_lines import Line, ok, unclear, worst, wrong
from worker.adobe.check.resolved_schema import (
    MOST_PATHS,
    AnyText,
    Misfit,
    misfit,
    nearest,
    node_at,
    paths_of,
)

ENDPOINT = "https://dcs.adobedc.net/collection/ab12"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ENDPOINT, True),
        ("https://DCS.adobedc.net/collection/ab12", True),
        ("https://dcs.adobedc.net:443/collection/ab12/?x=1", True),
        ("https://dcs.adobedc.net/collection/batch/ab12", True),
        ("https://dcs.adobedc.net/collection/AB12", False),
        ("https://other.adobedc.net/collection/ab12", False),
        ("https://dcs.adobedc.net:8443/collection/ab12", False),
        ("https://[/", False),
    ],
)
def test_endpoints_are_the_same_inlet(other: str, same: bool) -> None:
    assert same_endpoint(ENDPOINT, other) is same


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("_acme.news", {"type": "boolean"}),
        ("_acme.nothing", None),
        ("_acme.news.more", None),
        ("identityMap.Email", {"type": "array", "items": {"type": "object"}}),
        ("_acme.tags.x", Misfit("_acme.tags is a list, and a path can't name an item of it")),
        ("nothing", None),
    ],
)
def test_the_field_at_a_path(path: str, expected: Any) -> None:
    assert node_at(schema(), path) == expected


@pytest.mark.parametrize(
    ("node", "value", "problem"),
    [
        ({"type": "boolean"}, True, None),
        ({"type": "boolean"}, "y", "a text is sent"),
        ({"type": ["string", "null"]}, "y", None),
        ({"type": "number"}, 1, None),
        ({"type": "integer"}, 1.5, "a number is sent"),
        ({"type": "integer"}, True, "a boolean is sent"),
        ({}, True, None),
        (text(enum=["y"]), "n", "takes only y, and n is sent"),
        (text(**{"meta:enum": {"y": "Yes"}}), "n", None),
        (objects(val=text()), {"val": "y"}, None),
        (objects(val=text()), {"other": "y"}, "has no field other"),
        (objects(val={"type": "boolean"}), {"val": "y"}, "x.val is of the type boolean"),
        ({"type": "array", "items": text()}, ["a"], None),
    ],
)
def test_what_fits(node: dict[str, Any], value: Any, problem: str | None) -> None:
    found = misfit(node, value, "x")
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert problem in found.text
        assert found.certain


@pytest.mark.parametrize("limit", [{"enum": ["y"]}, {"format": "date"}, {"pattern": "^a$"}])
def test_of_a_text_that_an_event_brings_nothing_is_certain(limit: dict[str, Any]) -> None:
    found = misfit(text(**limit), AnyText(), "x")
    assert found is not None
    assert not found.certain


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("_acme.newz", "_acme.news"),
        ("acme.news", "_acme.news"),
        ("news", "_acme.news"),
        ("EMAIL", "_acme.email"),
        ("something.else.entirely", None),
    ],
)
def test_what_was_meant(path: str, meant: str | None) -> None:
    assert nearest(path, paths_of(schema())) == meant


def test_a_schema_of_any_size_or_depth_is_looked_through_in_bounds() -> None:
    wide = objects(**{f"f{number}": text() for number in range(MOST_PATHS + 5)})
    assert len(paths_of(wide)) == MOST_PATHS
    deep: dict[str, Any] = text()
    for _ in range(60):
        deep = objects(a=deep)
    assert 30 < len(paths_of(deep)) < 40


@pytest.mark.parametrize(
    ("said", "path", "goes"),
    [
        (rule("a", "b"), "a", "b"),
        (rule("a", "b"), "a.c", "b.c"),
        (rule("a", "b"), "ab", None),
        (rule("${a.b}", "/c/d"), "a.b", "c.d"),
        (rule(r"a\.b", "c"), "a.b", "c"),
        ({"sourceAttribute": "a", "destinationXdmPath": "b"}, "a", "b"),
        (rule("a", "b", sourceType="ATTRIBUTE"), "a", "b"),
        (rule("lower(a)", "b", sourceType="EXPRESSION", expressionAttributes=["a"]), "a", "b"),
        (rule("lower(a)", "b", sourceType="EXPRESSION"), "a", None),
    ],
)
def test_where_a_mapping_set_writes(said: dict[str, Any], path: str, goes: str | None) -> None:
    (one,) = rules_of({"mappings": [said]})
    assert one.reaches(path) == goes


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "x" * 300, "<b>", "a;b", "a=b"])
def test_what_is_no_name_is_not_shown(name: str) -> None:
    assert shown_name(name) == UNSHOWN


@pytest.mark.parametrize(
    "name", ["_acme.news", "https://ns.adobe.com/acme/schemas/1", "Email.<value>.val"]
)
def test_names_are_shown(name: str) -> None:
    assert shown_name(name) == name


def test_a_look_up_that_finds_an_empty_list_finds_nothing() -> None:
    assert first_item(Found({"items": []})) == NotFound("an empty answer")


def test_only_so_many_typing_errors_get_a_hint() -> None:
    paths = [f"_acme.new{number}" for number in range(30)]
    value = "consents_purposes_news_enabled"
    target = integration(
        payload_mode="xdm", events="user", mappings=[{"id": one, "value": value} for one in paths]
    )
    lines = list(judge_mappings(target, SetUp(0, schema=Found(schema()))))
    assert {one.verdict for one in lines} == {"wrong"}
    assert sum("did you mean _acme.news?" in one.text for one in lines) == 20


def test_texts_of_runs_are_not_passed_on() -> None:
    problem = {"code": "lena@northwind.example", "message": "lena@northwind.example"}
    metrics = {"statusSummary": {"status": "failed", "errors": [problem]}}
    line = judge_runs(SetUp(0, runs=Found({"items": [{"createdAt": 0, "metrics": metrics}]})))
    assert line.verdict == "wrong"
    assert "lena" not in line.text


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([], "ok"),
        ([ok("flow", "")], "ok"),
        ([ok("flow", ""), unclear("runs", "")], "unclear"),
        ([unclear("runs", ""), wrong("flow", ""), ok("inlet", "")], "wrong"),
    ],
)
def test_one_wrong_line_outweighs_all(lines: list[Line], verdict: str) -> None:
    assert worst(lines) == verdict
