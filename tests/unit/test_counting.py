"""One thing is told in the singular, any other number in the plural."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from worker.counting import counted, verb

WORKER = Path(__file__).parents[2] / "worker"


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 dead letters"), (1, "1 dead letter"), (2, "2 dead letters"), (101, "101 dead letters")],
)
def test_a_number_of_things(number: int, told: str) -> None:
    assert counted(number, "dead letter") == told


@pytest.mark.parametrize(("number", "told"), [(0, "are"), (1, "is"), (2, "are")])
def test_the_verb_goes_with_it(number: int, told: str) -> None:
    assert verb(number, "is", "are") == told


_NOUNS = re.compile(
    r" (dead letters|letters|events|integrations|groups|receipts|records|rows|messages|chains|"
    r"queues|exchanges|outcomes|items|problems|findings)\b"
)


def _followed_by_nouns() -> list[str]:
    """Where a sentence of a command has a number, and a noun in the plural right after it."""
    found = []
    for path in sorted((WORKER / "cli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            for value, text in zip(node.values, node.values[1:], strict=False):
                is_noun = isinstance(text, ast.Constant) and _NOUNS.match(str(text.value))
                if isinstance(value, ast.FormattedValue) and is_noun:
                    found.append(f"{path.name}: {ast.unparse(node)}")
    return found


def test_no_command_puts_a_plural_after_a_number_of_its_own() -> None:
    assert _followed_by_nouns() == []
