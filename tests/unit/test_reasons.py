"""Every stable code stands once, is used by its name, and has a kind and a sentence."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
import pytest

from worker.code_kinds import Code, Kind
from worker.reasons import (
    OVERLOAD,
    SETUP_ERRORS,
    DeadReason,
    ErrorCode,
    ParkReason,
    SkipReason,
)
from worker.remedies import OF_ERRORS, OF_REASONS, meaning_of, remedy_for

WORKER: Final = Path(__file__).parents[2] / "worker"
KINDS: Final = (SkipReason, ParkReason, ErrorCode, DeadReason)
CODES: Final = [code for kind in KINDS for code in kind]


def _nodes() -> Iterator[tuple[Path, ast.AST]]:
    for path in WORKER.rglob("*.py"):
        if path.name != "reasons.py" and "sandbox" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                yield path, node


def test_no_code_is_written_out_elsewhere() -> None:
    codes = {str(code) for code in CODES if "-" in code}
    written = [
        f"{path.name}:{node.lineno} {node.value}"
        for path, node in _nodes()
        if isinstance(node, ast.Constant) and node.value in codes
    ]
    assert written == []


def test_every_code_is_used() -> None:
    used = {ast.unparse(node) for _, node in _nodes() if isinstance(node, ast.Attribute)}
    assert {f"{type(code).__name__}.{code.name}" for code in CODES} - used == set()


@pytest.mark.parametrize("code", CODES, ids=lambda code: f"{type(code).__name__}-{code}")
def test_a_code_is_a_plain_text_with_a_sentence(code: Code) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    assert code.name == code.upper().replace("-", "_")
    assert f"{code}" == str(code) == code.value
    assert orjson.dumps([code]).decode() == json.dumps([code.value], separators=(",", ":"))
    by_text: dict[str, int] = {code: 1}
    assert by_text[code.value] == 1
    assert isinstance(code.kind, Kind)
    assert re.fullmatch(r"[A-Za-z][^\n]+[.…]", code.sentence)


def test_what_a_person_must_mend() -> None:
    assert {
        *("adobe-refused", "endpoint-not-allowed", "inlet-mismatch", "lookup-refused"),
        *("lookup-rejected", "state-lost", "token-refused"),
    } == SETUP_ERRORS


def test_what_makes_a_lane_slower() -> None:
    assert {
        *("adobe-throttled", "adobe-unavailable", "connection-failed", "timeout"),
        "token-unavailable",
    } == OVERLOAD


@pytest.mark.parametrize("code", [*DeadReason, *ErrorCode])
def test_somebody_is_told_what_to_do_about_every_code_of_a_dead_letter(code: Code) -> None:
    remedies = OF_REASONS if isinstance(code, DeadReason) else OF_ERRORS
    assert remedies[code]
    assert meaning_of(code, None)


def test_what_to_do_is_said_of_the_error_where_that_knows_better() -> None:
    timeout = remedy_for("retries-exhausted", "timeout")
    assert timeout == f"{OF_ERRORS['timeout']} Then replay."
    unavailable = remedy_for("retries-exhausted", "adobe-unavailable")
    assert unavailable == "Look at Adobe's status page. Replay when Adobe is back."
    assert remedy_for("adobe-rejected", "adobe-rejected") == OF_ERRORS["adobe-rejected"]
    assert remedy_for("no-identity", "no-identity") == OF_REASONS["no-identity"]
    assert remedy_for("unknown", "unknown") is None
    assert meaning_of("unknown", None) is None
