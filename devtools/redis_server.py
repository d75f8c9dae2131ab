"""A real Redis for tests: in a container where Docker answers, else native."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from devtools.broker import engine_answers
from devtools.native_rabbitmq import free_port
from devtools.native_redis import NativeRedis, RedisUnavailable

DEFAULT_IMAGE = "redis:7.4"


class RunningRedis(Protocol):
    """A Redis under test."""

    kind: str

    @property
    def url(self) -> str: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...


class ContainerRedis:
    """Redis by testcontainers, on a fixed port so that a restart keeps its address."""

    kind = "docker"

    def __init__(self, password: str = "", options: tuple[str, ...] = ()) -> None:
        from testcontainers.community.redis import RedisContainer  # noqa: PLC0415 - needs an engine

        image = os.environ.get("CONSENT_WORKER_TEST_REDIS_IMAGE", DEFAULT_IMAGE)
        self._password = password
        self.port = free_port()
        self._container = RedisContainer(image, password=password or None)
        self._container.with_bind_ports(6379, self.port)
        secret = ("--requirepass", password) if password else ()
        # protected-mode: without a password Redis may else answer its own host alone.
        command = ("redis-server", "--appendonly", "yes", "--protected-mode", "no")
        command += (*secret, *options)
        self._container.with_command(" ".join(command))
        self._is_created = False

    @property
    def url(self) -> str:
        credentials = f":{self._password}@" if self._password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, or start again after `kill`, which keeps the data. Raises `RedisUnavailable`."""
        if self._is_created:
            self._container.get_wrapped_container().start()
            return
        try:
            self._container.start()
        except Exception as error:
            raise RedisUnavailable(
                f"Docker answers, but Redis did not start: {str(error)[:300]}"
            ) from None
        self._is_created = True

    def kill(self) -> None:
        """Stop without any order."""
        self._container.get_wrapped_container().kill()

    def remove(self) -> None:
        self._container.stop()


@contextmanager
def running_redis(password: str = "", options: tuple[str, ...] = ()) -> Iterator[RunningRedis]:
    """A container where Docker answers and can start one, Debian's package elsewhere.

    CONSENT_WORKER_TEST_REDIS (`docker` or `native`) forces one kind. Raises `RedisUnavailable`.
    """
    wanted = os.environ.get("CONSENT_WORKER_TEST_REDIS", "")
    if wanted == "docker" or (wanted != "native" and engine_answers()):
        container = ContainerRedis(password, options)
        try:
            container.start()
        except RedisUnavailable as problem:
            container.remove()
            if wanted == "docker":
                raise
            sys.stderr.write(f"{problem}\nUsing a native Redis instead.\n")
        else:
            try:
                yield container
            finally:
                container.remove()
            return
    with NativeRedis(password, options) as native:
        yield native
