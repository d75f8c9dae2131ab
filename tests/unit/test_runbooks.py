"""Commands of the runbooks are commands of the program: whoever is called at night copies them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from worker.cli.main import COMMANDS, build_app

RUNBOOKS = Path(__file__).parents[2] / "docs/runbooks"


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Each, with the page that it stands on."""
    for path in sorted(RUNBOOKS.glob("*.md")):
        for block in re.findall(r"```\n(.*?)```", path.read_text(), flags=re.S):
            for line in block.splitlines():
                program, _, arguments = line.strip().partition("<")[0].partition(" ")
                if program == "consent-worker":
                    yield path.name, shlex.split(arguments)


def _is_known(words: list[str]) -> bool:
    """Whether there is such a command with such options; nothing of it is run."""
    return CliRunner().invoke(build_app(*COMMANDS), [*words, "--help"]).exit_code == 0


def test_a_slip_is_found() -> None:
    assert not _is_known(["dead-letters", "lst"])
    assert not _is_known(["dead-letters", "list", "--newer", "1h", "--then"])


@pytest.mark.parametrize(("page", "words"), list(_commands()), ids=str)
def test_a_command_of_a_runbook_is_one(page: str, words: list[str]) -> None:
    assert _is_known(words), page
