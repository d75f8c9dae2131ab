"""The docs name every code, log event, metric, header and field of the program: they cannot rot."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Set
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple, get_args

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from devtools import broker, native_rabbitmq, redis_server
from worker.adobe.check.report_lines import CheckName
from worker.broker.headers import OWN_HEADERS
from worker.cli.check import EXIT_CODES
from worker.cli.main import COMMANDS, build_app
from worker.code_kinds import Code
from worker.delivery.outcome import Outcome
from worker.integrations.attribute_mapping import Mapping
from worker.integrations.model import Integration
from worker.integrations.sections import Authentication, IdentityRule, Limits, Properties
from worker.observability.metrics import Metrics
from worker.reasons import (
    OVERLOAD,
    SETUP_ERRORS,
    DeadReason,
    ErrorCode,
    ParkReason,
    SkipReason,
)
from worker.remedies import OF_ERRORS, OF_REASONS
from worker.sandbox.admin import admin_routes
from worker.sandbox.customer_organization import Dataflow, Organization, Right
from worker.sandbox.faults import Fault, FaultKind, FaultTarget
from worker.settings import OLD_NAMES, WorkerSettings

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
_LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
# The outcome log tells what Adobe accepted by the request, and everything else by its outcome.
OUTCOMES = {"delivered"} | {one.__name__.lower() for one in get_args(Outcome)}


class _Logged(NamedTuple):
    event: str
    level: str
    fields: frozenset[str]


def _doc(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def _missing(codes: Set[str], text: str) -> set[str]:
    return {code for code in codes if f"`{code}`" not in text}


def _rows(text: str) -> dict[str, str]:
    """The rows of all tables, by each code in their first cell."""
    return {
        code: line
        for line in text.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`([^`]+)`", line.split("|")[1])
    }


def _section(text: str, heading: str) -> str:
    """What stands under `heading`, up to the next one."""
    return re.split(r"^#+ ", text.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.M)[0]


def _events_of(call: ast.Call) -> set[str]:
    """The event names that a call of the log can write; a name that is put together of a fixed
    part and a value is taken to stand for each outcome, the only ones that are.
    """
    name = call.args[0]
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        return {name.value}
    assert isinstance(name, ast.JoinedStr), ast.unparse(call)
    first, value = name.values
    assert isinstance(first, ast.Constant), ast.unparse(call)
    assert first.value == "delivery.", ast.unparse(call)
    assert isinstance(value, ast.FormattedValue), ast.unparse(call)
    assert ast.unparse(value.value) == "kind", ast.unparse(call)
    return {f"delivery.{kind}" for kind in OUTCOMES}


def _logged() -> Iterator[_Logged]:
    for path in (ROOT / "worker").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) in ("log", "self._log")
                and node.func.attr != "bind"
            ):
                fields = frozenset(one.arg for one in node.keywords if one.arg is not None)
                for event in _events_of(node):
                    yield _Logged(event, _LEVELS[node.func.attr], fields)


@pytest.mark.parametrize("kind", [DeadReason, ErrorCode, SkipReason, ParkReason])
def test_every_reason_code_is_explained(kind: type[StrEnum]) -> None:
    codes = set(kind)
    assert codes
    assert _missing(codes, _doc("dead-letters.md")) == set()


@pytest.mark.parametrize("kind", [DeadReason, SkipReason, ParkReason])
def test_every_reason_is_in_the_message_contract(kind: type[StrEnum]) -> None:
    assert _missing(set(kind), _doc("message-contract.md")) == set()


_SENTENCES: Final[dict[str, type[Code]]] = {
    "Reasons": DeadReason,
    "Errors": ErrorCode,
    "Skipped": SkipReason,
    "Parked": ParkReason,
}
"""The sections of the page of dead letters, and whose codes are in their tables."""


@pytest.mark.parametrize("section", _SENTENCES)
def test_every_reason_is_told_by_the_sentence_that_the_program_has(section: str) -> None:
    sentences = {code.value: code.sentence for code in _SENTENCES[section]}
    told = set()
    for line in _section(_doc("dead-letters.md"), section).splitlines():
        if not line.startswith("| `"):
            continue
        _, codes, cell, *_ = line.split("|")
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", cell).replace("`", "").strip()
        for code in set(re.findall(r"`([^`]+)`", codes)) & set(sentences):
            assert plain.startswith(sentences[code].rstrip(".")), f"{code}: {plain}"
            told.add(code)
    assert told == set(sentences)


_REMEDIES: Final = {"Reasons": OF_REASONS, "Errors": OF_ERRORS}


@pytest.mark.parametrize("section", _REMEDIES)
def test_what_to_do_is_told_as_the_commands_tell_it(section: str) -> None:
    told = set()
    for line in _section(_doc("dead-letters.md"), section).splitlines():
        if line.startswith("| `"):
            _, code, _, cell, _ = (one.strip(" `") for one in line.split("|"))
            if code in _REMEDIES[section]:
                plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", cell).replace("`", "")
                assert plain == _REMEDIES[section][code].replace("`", ""), code
                told.add(code)
    assert told == set(_REMEDIES[section])


def test_every_header_is_in_the_message_contract_and_no_other() -> None:
    rows = _rows(_section(_doc("message-contract.md"), "Headers"))
    assert set(rows) == OWN_HEADERS


def test_lanes_name_what_makes_them_slower_or_pause() -> None:
    text = _doc("lanes.md")
    assert _missing(set(ParkReason) | OVERLOAD | SETUP_ERRORS, text) == set()
    assert _missing({f"limits.{name}" for name in Limits.model_fields}, text) == set()


def test_every_metric_is_listed() -> None:
    listed = _rows(_section(_doc("metrics.md"), "Metrics"))
    rows = {name: row for name, row in listed.items() if name.startswith("consent_")}
    metrics = {
        metric.name + ("_total" if metric.type == "counter" else ""): metric.type
        for metric in Metrics().registry.collect()
        if metric.name.startswith("consent_")
    }
    assert metrics
    assert set(rows) == set(metrics)
    assert {name for name, kind in metrics.items() if f"| {kind} |" not in rows[name]} == set()


def test_every_outcome_is_explained_beside_its_metric() -> None:
    assert set(_rows(_section(_doc("metrics.md"), "Metrics"))) >= OUTCOMES


def test_every_log_event_is_listed_with_its_level_and_fields() -> None:
    rows = _rows(_section(_doc("running-a-fleet.md"), "Log"))
    logged = list(_logged())
    assert {"delivery.delivered", "request.accepted"} <= {one.event for one in logged}
    assert set(rows) == {one.event for one in logged}
    for event, row in rows.items():
        written = [one for one in logged if one.event == event]
        # What the built name of an outcome gives counts only where nothing is written out.
        levels = {one.level for one in written if one.fields} or {one.level for one in written}
        assert {level for level in levels if f"| {level} |" not in row} == set(), event
        assert _missing({name for one in written for name in one.fields}, row) == set(), event


@pytest.mark.parametrize(
    ("model", "prefix"),
    [
        (Integration, ""),
        (Authentication, "authentication."),
        (Properties, "properties."),
        (Mapping, "mappings[]."),
        (IdentityRule, "identities.<identifier>."),
        (Limits, "limits."),
    ],
)
def test_every_field_of_an_integration_is_listed(model: type[BaseModel], prefix: str) -> None:
    rows = _rows(_doc("integration-config.md"))
    parents = {"authentication", "properties", "mappings", "identities", "limits"}
    assert {prefix + name for name in model.model_fields} - parents <= set(rows)


@pytest.mark.parametrize("name", Limits.model_fields)
def test_limits_are_listed_with_default_and_bounds(name: str) -> None:
    row = _rows(_doc("integration-config.md"))[f"limits.{name}"]
    field = Limits.model_fields[name]
    default = "none" if field.default is None else f"{field.default:g}"
    assert row.split("|")[2].strip(" `") == default
    bounds = {f"{rule.le:g}" for rule in field.metadata if hasattr(rule, "le")}
    bounds |= {f"{rule.ge:g}" for rule in field.metadata if hasattr(rule, "ge")}
    assert {bound for bound in bounds if not re.search(rf"\b{bound}\b", row)} == set()


def test_the_admin_api_of_the_emulator_and_its_faults_are_listed() -> None:
    page = _doc("emulator.md")
    rows = _rows(page)
    calls = set(re.findall(r"`([A-Z]+ /[^`]*)`", _section(page, "Admin API")))
    assert calls == {f"{one.method} {one.path}" for one in admin_routes()}
    assert set(get_args(FaultKind)) <= set(rows)
    assert _missing(set(get_args(FaultTarget)), _section(page, "Faults")) == set()
    given = {one.name for one in fields(Fault) if one.init} - {"id", "released"}
    assert given <= set(rows)


def test_the_set_up_of_the_emulator_is_listed() -> None:
    rows = _rows(_doc("emulator.md"))
    text = _section(_doc("emulator.md"), "Set-up")
    assert {one.name for one in fields(Dataflow)} <= set(rows)
    assert set(Organization().described()) <= set(rows)
    assert _missing(set(get_args(Right)), text) == set()


def test_every_line_of_a_check_is_explained_with_its_exit_codes() -> None:
    page = _doc("your-dataflow-at-adobe.md")
    assert {code.split()[0] for code in _rows(page)} >= set(get_args(CheckName))
    codes = re.findall(r"^\| ([0-9]+) \|", page, flags=re.M)
    assert codes == ["0", "1", "2", "4"]
    assert set(EXIT_CODES.values()) <= {int(one) for one in codes}


_TEST_VARIABLES = {
    broker.KIND_VARIABLE,
    broker.IMAGE_VARIABLE,
    redis_server.KIND_VARIABLE,
    redis_server.IMAGE_VARIABLE,
    native_rabbitmq.PROGRAMS_VARIABLE,
}
"""They choose the servers of tests, and are no settings of a worker."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_and_their_defaults_in_the_docs_are_those_of_the_code(path: Path) -> None:
    text = path.read_text()
    defaults = {
        f"CONSENT_WORKER_{name.upper()}": field.default
        for name, field in WorkerSettings.model_fields.items()
    }
    known = set(defaults) | _TEST_VARIABLES | set(OLD_NAMES)
    assert set(re.findall(r"CONSENT_WORKER_[A-Z_]+[A-Z]", text)) <= known
    for name, quoted in re.findall(r"`(CONSENT_WORKER_[A-Z_]+)` \(([0-9.]+)[^)]*\)", text):
        assert float(quoted) == float(defaults[name]), name


def _anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_the_docs_lead_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text()):
        page = path.parent / target if target else path
        assert page.exists(), target
        if anchor:
            assert anchor in _anchors(page), f"{target}#{anchor}"


def test_every_page_is_linked() -> None:
    linked = {
        (path.parent / target).resolve()
        for path in PAGES
        for target in re.findall(r"\]\(([^)#:]+)", path.read_text())
    }
    assert {page for page in PAGES[:-2] if page not in linked} == set()


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert [one for one in lines if len(one) > 100 and not one.startswith(("|", "!["))] == []


def test_what_the_readme_prints_for_the_example_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(
        r"```\n([^`]*consent-worker integrations validate[^`]*)```",
        (ROOT / "README.md").read_text(),
    )
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    for words in commands:
        if words[0] == "export":
            for name, value in (one.split("=", 1) for one in words[1:]):
                if name != "PATH":
                    monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    run = [words[1:] for words in commands if words[0] == "consent-worker"]
    assert [words[0] for words in run] == ["integrations", "explain", "publish"]
    for words in run[:2]:  # the third needs a broker
        done = CliRunner().invoke(build_app(*COMMANDS), words)
        assert done.exit_code == 0, done.output
