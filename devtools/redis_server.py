"""A real Redis for tests: in a container where Docker answers, else native."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from devtools.containers import Container
from devtools.engine import EngineUnusable
from devtools.fallback import container_or_native
from devtools.native_redis import NativeRedis, RedisUnavailable, redis_answers

DEFAULT_IMAGE = "redis:7.4"
KIND_VARIABLE = "CONSENT_WORKER_TEST_REDIS"
IMAGE_VARIABLE = "CONSENT_WORKER_TEST_REDIS_IMAGE"
START_SECONDS = 30.0
# The configuration comes by standard input: no list of processes shows the password.
_SCRIPT = """exec redis-server - "$@" <<end
requirepass $REDISCLI_AUTH
appendonly yes
end
"""


class RunningRedis(Protocol):
    """A Redis under test."""

    @property
    def kind(self) -> str: ...
    @property
    def url(self) -> str: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...


def image() -> str:
    """The image of Redis under test."""
    return os.environ.get(IMAGE_VARIABLE, DEFAULT_IMAGE)


class ContainerRedis:
    """Redis in a container, on a port that stays the same when it is started again."""

    kind = "docker"

    def __init__(self, password: str = "", options: tuple[str, ...] = ()) -> None:
        self._password = password or secrets.token_hex(16)
        self._container = Container(
            image(),
            6379,
            {"REDISCLI_AUTH": self._password},
            ("-c", _SCRIPT, "redis", *options),
            entry_point="sh",
        )
        self._is_started = False

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@{self._container.host}:{self._container.port}/0"

    def start(self) -> None:
        """Start, or start again after `kill`, which keeps the data. Raises `EngineUnusable`."""
        if self._is_started:
            self._container.start_again()
            self._container.wait(self._answers, START_SECONDS)
        else:
            self._container.start(self._answers, START_SECONDS)
            self._is_started = True

    def kill(self) -> None:
        """Stop without any order."""
        self._container.kill()

    def remove(self) -> None:
        self._container.remove()

    def _answers(self, host: str, port: int) -> bool:
        return redis_answers(host, port, self._password)


@contextmanager
def running_redis(password: str = "", options: tuple[str, ...] = ()) -> Iterator[RunningRedis]:
    """A container where Docker answers and can start one, Debian's package elsewhere. Without a
    `password` it gets one of its own.

    `CONSENT_WORKER_TEST_REDIS` (`docker` or `native`) forces one kind. Raises `RedisUnavailable`.
    """

    @contextmanager
    def container() -> Iterator[RunningRedis]:
        redis = ContainerRedis(password, options)
        try:
            redis.start()
            yield redis
        finally:
            redis.remove()

    def native() -> AbstractContextManager[RunningRedis]:
        return NativeRedis(password, options)

    try:
        with container_or_native("Redis", KIND_VARIABLE, container, native) as started:
            yield started
    except EngineUnusable as problem:
        raise RedisUnavailable(str(problem)) from None
