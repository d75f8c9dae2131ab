"""An engine that can't be used costs one sentence and a moment: then the servers are native."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import native_rabbitmq, native_redis
from devtools.engine import published_at

ROOT = Path(__file__).parents[2]
WORKS = """
  version) echo 20.10 ;;
  info) hostname ;;
  context) echo unix:///var/run/docker.sock ;;
  image) echo 0123456789ab ;;
"""
HANGS = "echo $$ > {pid}; sleep 1000"
ENGINES = {
    "whose socket is dead": (
        "version) echo 'Cannot connect to the Docker daemon' >&2; exit 1 ;;",
        "`docker version` failed (Cannot connect to the Docker daemon)",
    ),
    "that hangs": (
        f"version) {HANGS} ;;",
        "the Docker engine had no answer to `docker version` for 0.5 s",
    ),
    "whose command breaks off": (
        "version) kill -9 $$ ;;",
        "`docker version` failed (without a word)",
    ),
    "without the image, which can't be pulled": (
        "image) ;; pull) echo 'manifest unknown' >&2; exit 1 ;;",
        "the image rabbitmq:4.2.2-management can't be pulled (manifest unknown)",
    ),
    "without the image, whose registry hangs": (
        f"image) ;; pull) {HANGS} ;;",
        "the registry of the image rabbitmq:4.2.2-management had no answer for 0.5 s",
    ),
    "without the image, whose registry hangs in the middle": (
        f"image) ;; pull) echo 'Pulling from library/rabbitmq'; {HANGS} ;;",
        "the registry of the image rabbitmq:4.2.2-management had no answer for 0.6 s",
    ),
}
_STARTS_NOTHING = "start) exit 1 ;;"
"""The command answers, but testcontainers finds no engine at the socket."""
SHORT = """
import runpy, sys
from devtools import engine
engine.ANSWER_SECONDS, engine.REGISTRY_SECONDS, engine.LAYER_SECONDS = 0.5, 0.5, 0.6
"""
CHOOSE = SHORT + "runpy.run_module('devtools.servers', run_name='__main__', alter_sys=True)"
SHOW_CHOICE = ["sh", "-c", "echo $CONSENT_WORKER_TEST_BROKER $CONSENT_WORKER_TEST_REDIS"]
START_TWICE = SHORT + (
    "from devtools.redis_server import running_redis\n"
    "for _ in range(2):\n"
    "    with running_redis() as server: print(server.kind)\n"
)


@pytest.fixture(autouse=True)
def installed() -> None:
    """Native servers are here."""
    try:
        native_rabbitmq.ensure_installed()
        native_redis.ensure_installed()
    except (native_rabbitmq.BrokerUnavailable, native_redis.RedisUnavailable) as problem:
        pytest.skip(str(problem))


class Machine:
    """One whose `docker` command is the test's, or is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path / "bin"
        self.path.mkdir()
        self.pid = path / "pid"
        self.calls = path / "calls"
        for program in ("sh", "sleep", "hostname", "redis-server"):
            (self.path / program).symlink_to(shutil.which(program) or "")

    def docker(self, cases: str) -> None:
        """With these answers, and else those of an engine that works."""
        script = self.path / "docker"
        cases = cases.replace("{pid}", str(self.pid))
        text = f'#!/bin/sh\necho "$1" >> {self.calls}\ncase "$1" in\n{cases}\n{WORKS}\nesac\n'
        script.write_text(text)
        script.chmod(0o755)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CONSENT_", "PYTEST"))}
        # Who asks past the command meets nobody: this machine's own engine is no part of it.
        kept["DOCKER_HOST"] = f"unix://{self.path}/nobody.sock"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            env=kept | {"PATH": str(self.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_run_on_a_machine_with_an_engine(kind: str, machine: Machine) -> None:
    cases, reason = ENGINES[kind]
    machine.docker(cases)
    done = machine.run(CHOOSE, *SHOW_CHOICE)
    assert done.stderr.splitlines() == [
        f"RabbitMQ and Redis run natively, not in a container: {reason}."
    ]
    assert done.stdout.split() == ["native", "native"]
    if machine.pid.exists():
        assert not Path("/proc", machine.pid.read_text().strip()).exists()


def test_a_run_on_a_machine_without_docker(machine: Machine) -> None:
    done = machine.run(CHOOSE, *SHOW_CHOICE)
    assert done.stderr.splitlines() == [
        "RabbitMQ and Redis run natively, not in a container: there is no `docker` command."
    ]
    assert done.stdout.split() == ["native", "native"]


def test_a_server_that_fell_back_is_native_from_then_on_and_says_so_once(machine: Machine) -> None:
    machine.docker(_STARTS_NOTHING)
    done = machine.run(START_TWICE)
    assert done.stdout.split() == ["native", "native"], done.stderr
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("Redis runs natively, not in a container: a container did not start")


def test_what_the_engine_does_not_remove_is_named(machine: Machine) -> None:
    machine.docker(_STARTS_NOTHING + " rm) echo 'device is busy' >&2; exit 1 ;;")
    done = machine.run(START_TWICE)
    assert done.stdout.split() == ["native", "native"], done.stderr
    left = [line for line in done.stderr.splitlines() if line.startswith("Left behind")]
    assert len(left) == 1
    assert "docker rm --force --volumes consent-worker-test-" in left[0]
    assert "device is busy" in left[0]


@pytest.mark.parametrize(
    ("engine", "gateway", "address"),
    [
        ("unix:///var/run/docker.sock", "", "127.0.0.1"),
        ("npipe:////./pipe/docker_engine", "", "127.0.0.1"),
        ("unix:///var/run/docker.sock", "172.17.0.1", "172.17.0.1"),
        ("tcp://127.0.0.1:2375", "", "127.0.0.1"),
        ("tcp://192.0.2.7:2376", "", "192.0.2.7"),
        ("ssh://somebody@192.0.2.7", "172.17.0.1", "192.0.2.7"),
    ],
)
def test_ports_are_published_on_one_address_that_can_be_reached(
    engine: str, gateway: str, address: str
) -> None:
    assert published_at(engine, gateway) == address
