"""A private Redis from Debian's package, on a free port and in a temporary directory."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import Self

from devtools import debian, guard
from devtools.ports import lasting_port


class RedisUnavailable(RuntimeError):
    """No Redis can be had here; the text says what is missing."""


def ensure_installed() -> str:
    """The path of Debian's redis-server, which is installed where that is possible."""
    if (found := shutil.which("redis-server")) is not None:
        return found
    if trouble := debian.trouble_with("redis-server"):
        raise RedisUnavailable(f"no Redis: start a Docker engine, or {trouble}")
    return shutil.which("redis-server") or "/usr/bin/redis-server"


def redis_answers(host: str, port: int, password: str) -> bool:
    """Whether a Redis answers commands there. While it reads its data, it says -LOADING."""
    try:
        with socket.create_connection((host, port), timeout=2) as line:
            line.settimeout(2)
            line.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            with line.makefile("rb") as answers:
                return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
    except OSError:
        return False


class NativeRedis:
    """Started by `start`; `url` is stable across `restart`, which keeps the data.

    Without a `password` it gets one of its own.
    `options` are further arguments of redis-server, such as `("--cluster-enabled", "yes")`.
    """

    kind = "native"

    def __init__(self, password: str = "", options: tuple[str, ...] = ()) -> None:
        self._program = ensure_installed()
        self.home = guard.directory("consent-redis-", "server")
        self._password = password or secrets.token_hex(16)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = lasting_port()

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until commands are answered. Raises `RedisUnavailable`."""
        if not self.home.exists():
            raise RedisUnavailable("this Redis was removed")
        # The configuration comes by standard input, where no list of processes shows the password.
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self.home}",
            "appendonly yes",
            'save ""',
            f"requirepass {self._password}",
        ]
        with (self.home / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "-", *self._options],
                env=guard.marked(),
                cwd=self.home,  # by which it is found: it writes its title over its environment
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if self._process.stdin is not None:
            self._process.stdin.write("\n".join(lines).encode())
            self._process.stdin.close()
        deadline = time.monotonic() + 20
        while not redis_answers("127.0.0.1", self.port, self._password):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self.home / "output").read_text(errors="replace")[-1500:]
                raise RedisUnavailable(f"Redis did not start:\n{tail}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Stop without any order."""
        self._signal(signal.SIGKILL)

    def stall(self) -> None:
        """Let it stand still, with all lines open, until `go_on`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

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
        guard.remove("server", str(self.home))
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)

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
