"""A private Redis from Debian's package, on a free port and in a temporary directory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from devtools.native_rabbitmq import free_port


class RedisUnavailable(RuntimeError):  # noqa: N818 - a state
    """No Redis can be had here; the text says what is missing."""


def ensure_installed() -> str:
    """The path of Debian's redis-server, which is installed where that is possible."""
    if (found := shutil.which("redis-server")) is not None:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RedisUnavailable(
            "no Redis: start a Docker engine, or install Debian's package redis-server "
            "(as root this is done for you)"
        )
    # RUNLEVEL=1 keeps the package from starting the system's own service.
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "redis-server"],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RedisUnavailable(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    return shutil.which("redis-server") or "/usr/bin/redis-server"


class NativeRedis:
    """Started by `start`; `url` is stable across `restart`, which keeps the data.

    `options` are further arguments of redis-server, such as `("--cluster-enabled", "yes")`.
    """

    kind = "native"

    def __init__(self, password: str = "", options: tuple[str, ...] = ()) -> None:
        self._program = ensure_installed()
        self._home = Path(tempfile.mkdtemp(prefix="consent-redis-"))
        self._password = password
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        credentials = f":{self._password}@" if self._password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until commands are answered."""
        # The configuration comes by standard input, where no list of processes shows the password.
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self._home}",
            "appendonly yes",
            'save ""',
            *([f"requirepass {self._password}"] if self._password else []),
        ]
        with (self._home / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "-", *self._options],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if self._process.stdin is not None:
            self._process.stdin.write("\n".join(lines).encode())
            self._process.stdin.close()
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self._home / "output").read_text(errors="replace")[-1500:]
                raise RedisUnavailable(f"Redis did not start:\n{tail}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Stop without any order."""
        self._signal(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start again with the same data."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as line:
                line.settimeout(2)
                line.sendall(b"PING\r\n")
                # While it reads its data, Redis answers -LOADING; without a password -NOAUTH.
                return line.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            self._process.send_signal(number)
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None
