"""A private RabbitMQ from Debian's package, on free ports and in a temporary directory."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Self

from devtools import debian, guard
from devtools.ports import free_port

PROGRAMS_VARIABLE = "CONSENT_WORKER_TEST_RABBITMQ"
"""Names the directory of `rabbitmq-server` and `rabbitmqctl` of the RabbitMQ to be tested."""
_DEBIAN_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
_GREETING = b"AMQP\x00\x00\x09\x01"
START_SECONDS = 60.0
_COMMAND_SECONDS = 120.0
_PORT_TAKEN = ("already_used", "eaddrinuse", "port_already_in_use")
_TRIES = 4
"""With other ports each, since a port that was free may be somebody's a moment later."""
USER = "consent-test"
"""Of test brokers, each with a password of its own."""


class BrokerUnavailable(RuntimeError):
    """No RabbitMQ can be had here; the text says what is missing."""


class _PortTaken(BrokerUnavailable):
    pass


def programs() -> Path:
    """The directory of RabbitMQ's programs: the one that is asked for, or Debian's."""
    return Path(os.environ.get(PROGRAMS_VARIABLE) or _DEBIAN_PROGRAMS)


def ensure_installed() -> None:
    """Find rabbitmq-server, or install Debian's where that is possible. Raises
    `BrokerUnavailable`.
    """
    if (programs() / "rabbitmq-server").exists():
        return
    if os.environ.get(PROGRAMS_VARIABLE):
        raise BrokerUnavailable(
            f"{PROGRAMS_VARIABLE} names {programs()}, where no rabbitmq-server is"
        )
    if trouble := debian.trouble_with("rabbitmq-server"):
        raise BrokerUnavailable(f"no RabbitMQ: start a Docker engine, or {trouble}")


def amqp_answers(host: str, port: int) -> bool:
    """Whether a broker answers AMQP's greeting there."""
    try:
        with socket.create_connection((host, port), timeout=2) as line:
            line.settimeout(2)
            line.sendall(_GREETING)
            return bool(line.recv(8))
    except OSError:
        return False


class NativeRabbitMQ:
    """Started by `start`; `url` is stable across `restart`, which keeps the data."""

    kind = "native"
    start_seconds = START_SECONDS

    def __init__(self, name: str = "", password: str = "", *, has_metrics: bool = False) -> None:
        """Without a `name` of the node and a `password` it gets some of its own. One that
        `has_metrics` tells them to Prometheus at `metrics_port`.
        """
        ensure_installed()
        self.home = guard.directory("consent-rabbitmq-", "server")
        self._password = password or secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._env = guard.marked() | {
            "HOME": str(self.home),
            "RABBITMQ_NODENAME": name or f"t{uuid.uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.home / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.home / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }
        self._choose_ports()
        self.metrics_port = free_port() if has_metrics else None
        metrics = (
            f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {self.metrics_port}\n"
            if has_metrics
            else ""
        )
        (self.home / "rabbitmq.conf").write_text(
            f"default_user = {USER}\ndefault_pass = {self._password}\n"
            "log.file.level = warning\nvm_memory_high_watermark.absolute = 2GB\n"
            "disk_free_limit.absolute = 50MB\nraft.wal_max_size_bytes = 16777216\n" + metrics
        )
        (self.home / "advanced.config").write_text(
            "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 10000},\n"
            # Up to 3.13 each quorum queue sets files aside that it never opens. Once all are set
            # aside, after some hundred tests, no line is accepted any more.
            "           {file_handles_high_watermark, 1000000}]}].\n"
        )
        plugins = "rabbitmq_prometheus" if has_metrics else ""
        (self.home / "enabled_plugins").write_text(f"[{plugins}].\n")

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self._password}@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start and wait until AMQP is answered. Raises `BrokerUnavailable`."""
        is_first = not (self.home / "data").exists()
        for attempt in range(1, _TRIES + 1):
            try:
                self._start()
                return
            except _PortTaken:
                if not is_first or attempt == _TRIES:
                    raise
                self._choose_ports()

    def _choose_ports(self) -> None:
        self.port = free_port()
        self._env |= {
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(free_port()),
        }

    def _start(self) -> None:
        if not self.home.exists():
            raise BrokerUnavailable("this RabbitMQ was removed")
        with (self.home / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [str(programs() / "rabbitmq-server")],
                env=self._env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + self.start_seconds
        while not amqp_answers("127.0.0.1", self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.home / "output").read_text(errors="replace")
                is_taken = any(text in said for text in _PORT_TAKEN)
                kind = _PortTaken if is_taken else BrokerUnavailable
                raise kind(f"RabbitMQ did not start:\n{said[-1500:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Stop without any order."""
        self._signal(signal.SIGKILL)

    def stall(self) -> None:
        """Let it stand still, with all lines open, until `go_on`."""
        self._tell(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        self._tell(signal.SIGCONT)

    def ctl(self, *arguments: str) -> None:
        """Run rabbitmqctl on this node. Raises `BrokerUnavailable`."""
        self.asked(*arguments)

    def asked(self, *arguments: str) -> str:
        """What rabbitmqctl answers. Raises `BrokerUnavailable`."""
        command = [str(programs() / "rabbitmqctl"), *arguments]
        what = f"rabbitmqctl {' '.join(arguments)}"
        try:
            done = subprocess.run(
                command,
                env=self._env,
                capture_output=True,
                text=True,
                check=False,
                timeout=_COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise BrokerUnavailable(f"{what} took more than {_COMMAND_SECONDS:g} s") from None
        if done.returncode:
            said = (done.stdout + done.stderr)[-1500:]
            raise BrokerUnavailable(f"{what} ended with {done.returncode}:\n{said}")
        return done.stdout

    def restart(self) -> None:
        """Stop and start again with the same data."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        guard.remove("server", str(self.home))  # with the name server of this node
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            self._tell(number)
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._process = None

    def _tell(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
