"""A real RabbitMQ for tests and the demo: in a container where Docker answers, else native."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from devtools.containers import Container
from devtools.engine import EngineUnusable
from devtools.fallback import container_or_native
from devtools.native_rabbitmq import (
    PROGRAMS_VARIABLE,
    START_SECONDS,
    USER,
    BrokerUnavailable,
    NativeRabbitMQ,
    amqp_answers,
)

DEFAULT_IMAGE = "rabbitmq:4.2.2-management"
KIND_VARIABLE = "CONSENT_WORKER_TEST_BROKER"
IMAGE_VARIABLE = "CONSENT_WORKER_TEST_RABBITMQ_IMAGE"
PLUGIN_BROKER_VARIABLE = "CONSENT_WORKER_TEST_AMQP_URL"
"""Names a broker that has the delayed-message plugin."""


class RunningBroker(Protocol):
    """A broker under test."""

    @property
    def kind(self) -> str: ...
    @property
    def url(self) -> str: ...
    def restart(self) -> None: ...
    def ctl(self, *arguments: str) -> None: ...


def image() -> str:
    """The image of RabbitMQ under test."""
    return os.environ.get(IMAGE_VARIABLE, DEFAULT_IMAGE)


class ContainerBroker:
    """RabbitMQ in a container, whose URL is stable across `restart`, which keeps the data."""

    kind = "docker"

    def __init__(self) -> None:
        self._password = secrets.token_hex(16)
        self._container = Container(
            image(),
            5672,
            {"RABBITMQ_DEFAULT_USER": USER, "RABBITMQ_DEFAULT_PASS": self._password},
        )

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self._password}@{self._container.host}:{self._container.port}/"

    def start(self) -> None:
        """Start and wait until AMQP is answered. Raises `EngineUnusable`."""
        self._container.start(amqp_answers, START_SECONDS)

    def remove(self) -> None:
        self._container.remove()

    def ctl(self, *arguments: str) -> None:
        """Run rabbitmqctl in the container. Raises `EngineUnusable`."""
        self._container.run("rabbitmqctl", *arguments)

    def restart(self) -> None:
        """Stop and start again with the same data."""
        self._container.restart()
        self._container.wait(amqp_answers, START_SECONDS)


@contextmanager
def _container() -> Iterator[RunningBroker]:
    broker = ContainerBroker()
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()


@contextmanager
def running_broker() -> Iterator[RunningBroker]:
    """A container where Docker answers and can start one, Debian's package elsewhere.

    `CONSENT_WORKER_TEST_BROKER` (`docker` or `native`) forces one kind, and
    `CONSENT_WORKER_TEST_RABBITMQ` the native one of that directory. Raises `BrokerUnavailable`.
    """

    def native() -> AbstractContextManager[RunningBroker]:
        return NativeRabbitMQ()

    if os.environ.get(PROGRAMS_VARIABLE):
        with native() as chosen:
            yield chosen
        return
    try:
        with container_or_native("RabbitMQ", KIND_VARIABLE, _container, native) as started:
            yield started
    except EngineUnusable as problem:
        raise BrokerUnavailable(str(problem)) from None
