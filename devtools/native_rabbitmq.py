"""A private RabbitMQ from Debian's package, on free ports and in a temporary directory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Self

_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_GREETING = b"AMQP\x00\x00\x09\x01"
START_SECONDS = 60.0


class BrokerUnavailable(RuntimeError):  # noqa: N818 - a state
    """No RabbitMQ can be had here; the text says what is missing."""


def ensure_installed() -> None:
    """Find Debian's rabbitmq-server, or install it where that is possible."""
    if _SERVER.exists():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BrokerUnavailable(
            "no RabbitMQ: start a Docker engine, or install Debian's package rabbitmq-server "
            "(as root this is done for you)"
        )
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "rabbitmq-server"],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrokerUnavailable(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def amqp_answers(port: int) -> bool:
    """Whether a broker on this machine answers AMQP's greeting on `port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
            line.settimeout(2)
            line.sendall(_GREETING)
            return bool(line.recv(8))
    except OSError:
        return False


class NativeRabbitMQ:
    """Started by `start`; `url` is stable across `restart`, which keeps the data."""

    kind = "native"

    def __init__(self) -> None:
        ensure_installed()
        self.home = Path(tempfile.mkdtemp(prefix="consent-rabbitmq-"))
        self.port = free_port()
        self._epmd_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._env = os.environ | {
            "HOME": str(self.home),
            "RABBITMQ_NODENAME": f"t{uuid.uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.home / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.home / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }
        (self.home / "rabbitmq.conf").write_text(
            "log.file.level = warning\nvm_memory_high_watermark.absolute = 2GB\n"
            "disk_free_limit.absolute = 50MB\nraft.wal_max_size_bytes = 16777216\n"
        )
        (self.home / "advanced.config").write_text(
            "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 10000}]}].\n"
        )
        (self.home / "enabled_plugins").write_text("[].\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start and wait until AMQP is answered."""
        output = (self.home / "output").open("ab")
        self._process = subprocess.Popen(
            [str(_SERVER)],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not amqp_answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self.home / "output").read_text(errors="replace")[-1500:]
                raise BrokerUnavailable(f"RabbitMQ did not start:\n{tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Stop without any order."""
        self._signal(signal.SIGKILL)

    def ctl(self, *arguments: str) -> None:
        """Run rabbitmqctl on this node. Raises CalledProcessError."""
        command = [str(_SERVER.with_name("rabbitmqctl")), *arguments]
        subprocess.run(command, env=self._env, capture_output=True, check=True, timeout=60)

    def restart(self) -> None:
        """Stop and start again with the same data."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._end_epmd()
        shutil.rmtree(self.home, ignore_errors=True)

    def _end_epmd(self) -> None:
        """End the name server of this node, which refuses until it has noticed the node's death."""
        epmd = next(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"), "epmd")
        command = [str(epmd), "-port", str(self._epmd_port), "-kill"]
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            if "living nodes" not in said.stdout + said.stderr:
                return
            time.sleep(0.05)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
            self._process.wait(30)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._process = None
