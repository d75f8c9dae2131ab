"""Whatever interrupts a run at whatever moment, nothing of what it started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.engine import docker, trouble
from devtools.waiting import wait_until

ROOT = Path(__file__).parents[2]
SERVERS = {
    "rabbitmq": "from devtools.broker import running_broker as running",
    "redis": "from devtools.redis_server import running_redis as running",
}
KINDS = [
    "native",
    pytest.param("docker", marks=pytest.mark.skipif(trouble() is not None, reason="no engine")),
]
HELD = (
    "import sys\nfrom devtools import guard\nprint(guard.RUN, flush=True)\n{server}\n"
    "with running(): print('up', flush=True); sys.stdin.read()\n"
)
DEMO = (
    "import sys\nfrom devtools import guard\nprint(guard.RUN, flush=True)\n"
    "from devtools.demo import main\nsys.exit(main())\n"
)
CHAOS = (
    "import sys\nfrom devtools import guard\nprint(guard.RUN, flush=True)\n"
    "from devtools.chaos.__main__ import main\nsys.exit(main())\n"
)


class Run:
    """A program in a process group of its own, as a terminal starts it."""

    def __init__(self, program: str, home: Path, kind: str) -> None:
        self._home = home
        forced = dict.fromkeys(("CONSENT_WORKER_TEST_BROKER", "CONSENT_WORKER_TEST_REDIS"), kind)
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | forced | {"TMPDIR": str(home), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell that starts the tests in the background lets them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        assert self.process.stdout is not None
        self._run = self.process.stdout.readline().strip()
        self._has_engine = kind == "docker"

    def is_started(self) -> bool:
        """Whether there is anything of a server, be it not up yet."""
        return bool(self.containers() or self.processes())

    def containers(self) -> list[str]:
        if not self._has_engine:
            return []
        label = f"label=consent-worker.test={self._run}"
        return docker("ps", "--all", "--quiet", "--filter", label).split()

    def processes(self) -> list[str]:
        """What works in the run's directories, or carries its mark."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                variables = (process / "environ").read_bytes()
                place = str((process / "cwd").readlink())
                command = (process / "cmdline").read_bytes().decode()
            except OSError:
                continue  # ended meanwhile
            if self._run.encode() in variables or place.startswith(f"{self._home}/"):
                found.append(command)
        return found

    async def leaves_nothing(self) -> None:
        """Wait until nothing is left of it, for which its own end may not be waited."""
        await wait_until(
            lambda: not (self.processes() or self.containers() or any(self._home.iterdir())),
            "the end of all that it started",
            60,
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_of_a_server_that_is_starting(
    number: signal.Signals, server: str, kind: str, tmp_path: Path
) -> None:
    run = Run(HELD.format(server=SERVERS[server]), tmp_path, kind)
    await wait_until(run.is_started, "a server", 60)
    os.killpg(run.process.pid, number)
    run.process.wait(60)
    await run.leaves_nothing()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
@pytest.mark.parametrize("line", ["Starting a private RabbitMQ", "Starting the emulator", "1. "])
@pytest.mark.timeout(180)
async def test_of_the_demo(
    number: signal.Signals, code: int, line: str, kind: str, tmp_path: Path
) -> None:
    run = Run(DEMO, tmp_path, kind)
    output = run.process.stdout
    assert output is not None
    while not output.readline().startswith(line):
        assert run.process.poll() is None
    os.killpg(run.process.pid, number)
    said = output.read()
    assert run.process.wait(60) == code, said
    assert "Everything is cleaned up" in said
    await run.leaves_nothing()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
@pytest.mark.timeout(180)
async def test_of_chaos_whose_servers_are_starting(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    run = Run(CHAOS, tmp_path, "native")
    await wait_until(lambda: any("rabbitmq" in one for one in run.processes()), "a server", 60)
    os.killpg(run.process.pid, number)
    output = run.process.stdout
    assert output is not None
    said = output.read()
    assert run.process.wait(90) == code, said
    assert "Everything is cleaned up" in said
    await run.leaves_nothing()


@pytest.mark.parametrize("kind", KINDS)
async def test_when_the_cleaning_is_interrupted_too(kind: str, tmp_path: Path) -> None:
    run = Run(HELD.format(server=SERVERS["rabbitmq"]), tmp_path, kind)
    await wait_until(run.is_started, "a server", 60)
    for _ in range(3):
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGINT)
    run.process.kill()
    run.process.wait(60)
    await run.leaves_nothing()
