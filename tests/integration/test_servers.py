"""Where no server can be had, one sentence says so, before any test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def without_servers(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python where neither Docker nor a package is: as a user who may install nothing."""
    program = (
        "import os, pathlib, runpy, sys\n"
        "from devtools import native_rabbitmq\n"
        "native_rabbitmq._DEBIAN_PROGRAMS = pathlib.Path('/nowhere')\n"
        "os.environ['PATH'] = '/nowhere'\n"
        f"sys.argv = {list(arguments)!r}\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    env = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_make_test_asks_before_it_starts_processes() -> None:
    done = without_servers("devtools.servers")
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert "start a Docker engine, or install Debian's package rabbitmq-server" in sentence


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize("paths", [(), ("tests/integration/test_publish.py",)])
def test_a_run_of_tests_that_need_a_server_ends_at_once(
    processes: str, paths: tuple[str, ...]
) -> None:
    done = without_servers("pytest", "-q", "-n", processes, *paths)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert said.count("The tests need a real RabbitMQ") == 1
    assert "ERROR" not in said


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_of_tests_that_need_none_goes_on(processes: str) -> None:
    done = without_servers("pytest", "-q", "-n", processes, "tests/unit/test_redaction.py")
    assert done.returncode == 0, done.stdout
