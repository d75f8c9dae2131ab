"""Every list has one shape as JSON, whichever command prints it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from tests.unit.cli.conftest import CommandLine
from worker.cli.json_output import JsonList
from worker.cli.main import COMMANDS, build_app

OBJECT = "Print one JSON object."
LIST = "Print a JSON array, with one object a line"
LISTS = {
    "dead-letters groups",
    "dead-letters list",
    "integrations check",
    "integrations list",
    "receipts tail",
    "topology migrate",
}


def _helps(command: Any, *words: str) -> Iterator[tuple[str, str]]:
    """Each command with `--json`, and what it says of it."""
    for name, below in getattr(command, "commands", {}).items():
        yield from _helps(below, *words, name)
    for one in command.params:
        if "--json" in one.opts:
            yield " ".join(words), one.help


def test_each_command_says_which_of_two_shapes_it_prints() -> None:
    helps = dict(_helps(get_command(build_app(*COMMANDS))))
    assert {name for name, said in helps.items() if said.startswith(LIST)} == LISTS
    assert {said for name, said in helps.items() if name not in LISTS} == {OBJECT}


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_list_is_an_array_with_one_object_a_line(number: int) -> None:
    array = JsonList()
    documents = [{"id": f"one-{index}", "of": [1, {"x": None}]} for index in range(number)]
    lines = "".join(array.item(one) for one in documents)
    if number:
        with pytest.raises(json.JSONDecodeError):
            json.loads(lines)
    text = lines + array.end()
    assert json.loads(text) == documents
    found = [line.rstrip(",") for line in text.splitlines() if line.startswith("{")]
    assert [json.loads(line) for line in found] == documents


def test_an_object_in_a_list_does_nothing_to_a_terminal() -> None:
    assert "\x1b" not in JsonList().item({"id": "\x1b[2J", "text": "\u202e"})


def test_integrations_are_such_a_list(cli: CommandLine) -> None:
    assert cli.run("integrations", "list", "--json").out == "[]\n"
    for name in ("press", "shop"):
        cli.add(name)
    lines = cli.run("integrations", "list", "--json").out.splitlines()
    assert (lines[0], len(lines), lines[-1]) == ("[", 4, "]")
    assert [json.loads(line.rstrip(","))["id"] for line in lines[1:-1]] == ["press", "shop"]
