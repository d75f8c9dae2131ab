"""A real RabbitMQ for tests and the demo: in a container where Docker answers, else native."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from testcontainers.core.container import DockerContainer

from devtools.native_rabbitmq import (
    START_SECONDS,
    BrokerUnavailable,
    NativeRabbitMQ,
    amqp_answers,
    free_port,
)

DEFAULT_IMAGE = "rabbitmq:4.2.2-management"
PLUGIN_BROKER_VARIABLE = "CONSENT_WORKER_TEST_AMQP_URL"
"""Names a broker that has the delayed-message plugin."""


class RunningBroker(Protocol):
    """A broker under test."""

    kind: str

    @property
    def url(self) -> str: ...
    def restart(self) -> None: ...
    def ctl(self, *arguments: str) -> None: ...


def engine_answers() -> bool:
    """Whether a Docker engine can be used."""
    if shutil.which("docker") is None:
        return False
    try:
        command = ["docker", "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(command, capture_output=True, timeout=5, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class ContainerBroker:
    """RabbitMQ by testcontainers, on a fixed port so that a restart keeps its address."""

    kind = "docker"

    def __init__(self) -> None:
        image = os.environ.get("CONSENT_WORKER_TEST_RABBITMQ_IMAGE", DEFAULT_IMAGE)
        self.port = free_port()
        self._container = DockerContainer(image).with_bind_ports(5672, self.port)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start and wait until AMQP is answered. Raises `BrokerUnavailable`."""
        try:
            self._container.start()
        except Exception as error:
            raise BrokerUnavailable(
                f"Docker answers, but RabbitMQ did not start: {str(error)[:300]}"
            ) from None
        self._wait()

    def stop(self) -> None:
        self._container.stop()

    def ctl(self, *arguments: str) -> None:
        """Run rabbitmqctl in the container. Raises RuntimeError."""
        done = self._container.get_wrapped_container().exec_run(["rabbitmqctl", *arguments])
        if done.exit_code:
            raise RuntimeError(f"rabbitmqctl {arguments[0]} failed")

    def restart(self) -> None:
        """Stop and start again with the same data."""
        self._container.get_wrapped_container().restart(timeout=30)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not amqp_answers(self.port):
            if time.monotonic() > deadline:
                tail = self._container.get_logs()[0][-1500:].decode(errors="replace")
                raise BrokerUnavailable(f"RabbitMQ did not answer in its container:\n{tail}")
            time.sleep(0.1)


@contextmanager
def running_broker() -> Iterator[RunningBroker]:
    """A container where Docker answers and can start one, Debian's package elsewhere.

    CONSENT_WORKER_TEST_BROKER (`docker` or `native`) forces one kind. Raises `BrokerUnavailable`.
    """
    wanted = os.environ.get("CONSENT_WORKER_TEST_BROKER", "")
    if wanted == "docker" or (wanted != "native" and engine_answers()):
        container = ContainerBroker()
        try:
            container.start()
        except BrokerUnavailable as problem:
            container.stop()
            if wanted == "docker":
                raise
            sys.stderr.write(f"{problem}\nUsing a native RabbitMQ instead.\n")
        else:
            try:
                yield container
            finally:
                container.stop()
            return
    with NativeRabbitMQ() as native:
        yield native
