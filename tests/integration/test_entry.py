"""The program obeys SIGTERM from its first moment, as process 1 of a container must."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

SIGNALLED_AT_ITS_IMPORTS = """
import os, signal, sys

class Signal:
    def find_spec(self, name, path=None, target=None):
        if name == "worker.cli.main":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Signal())
from worker.cli.entry_point import main
main()
"""


def test_a_sigterm_during_the_imports_ends_the_program_by_a_handler_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED_AT_ITS_IMPORTS],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 143  # -15 without a handler, which process 1 would not notice
    assert done.stderr == ""


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
