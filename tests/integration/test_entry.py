"""What the program needs from its first moment: it obeys signals, as process 1 of a container must,
and has streams to write on.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SIGNALLED_AT_ITS_IMPORTS = """
import os, signal, sys

class Signal:
    def find_spec(self, name, path=None, target=None):
        if name == "worker.cli.main":
            os.kill(os.getpid(), signal.%s)

sys.meta_path.insert(0, Signal())
from worker.cli.entry_point import main
main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_during_the_imports_ends_the_program_by_a_handler_of_its_own(
    name: str, code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED_AT_ITS_IMPORTS % name],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code  # -15 without a handler, which process 1 would not notice
    assert done.stderr == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_command_works_without_a_stream_that_its_caller_has_closed(closed: str) -> None:
    command = f"'{sys.executable}' -m worker integrations schema {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert done.stderr == b""


def test_it_says_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert done.stdout == f"consent-worker {project['version']}\n"
