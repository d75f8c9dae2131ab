"""A command imports what it needs: the list of all commands is made without them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command

from worker.cli.main import COMMANDS, build_app

HEAVY = {"aiohttp", "cryptography", "redis", "rich", "sqlite3", "structlog"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_what_it_says_itself(name: str) -> None:
    listed, itself = (
        getattr(get_command(app), "commands")[name].get_short_help_str(500)  # noqa: B009
        for app in (build_app(), build_app(name))
    )
    assert listed == itself


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("main", HEAVY | {"aio_pika"}),
        ("dead_letter_commands", HEAVY),
        ("integrations", HEAVY | {"aio_pika"}),
        ("topology", HEAVY),
        ("publish", HEAVY),
        ("run", {"cryptography", "redis", "sqlite3"}),
    ],
)
def test_a_command_imports_no_library_that_others_need(module: str, unneeded: set[str]) -> None:
    program = f"import sys, worker.cli.{module}; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert set(ran.stdout.split()) & unneeded == set(), ran.stderr
    assert f"worker.cli.{module}" in ran.stdout
