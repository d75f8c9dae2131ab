"""A server in a container, by testcontainers, published on one address and gone with this run.

Its reaper is not asked for: `guard` removes what a run leaves, also where no image can be pulled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from devtools import guard
from devtools.engine import EngineUnusable, address, docker, ensure_image, trouble
from devtools.ports import free_port

_PORT_TAKEN = ("port is already allocated", "address already in use")
_TRIES = 5


class Container:
    """Made by `start`. The port stays the same when it is started again."""

    def __init__(
        self,
        image: str,
        inner_port: int,
        secrets: dict[str, str],
        command: tuple[str, ...] = (),
        entry_point: str = "",
    ) -> None:
        """`secrets` are variables, which no list of processes shows. Raises `EngineUnusable`."""
        problem = trouble()
        if problem is not None:
            raise EngineUnusable(problem)
        ensure_image(image)
        self.host = address()
        self.port = 0
        self._image = image
        self._inner_port = inner_port
        self._secrets = secrets
        self._command = command
        self._entry_point = entry_point
        self._name = ""
        self._is_created = False

    def start(self, answers: Callable[[str, int], bool], seconds: float) -> None:
        """Create and start it, and wait until it `answers` at its address and port. Raises
        `EngineUnusable`; nothing is left then.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                self._create()
                break
            except EngineUnusable as problem:
                self.remove()
                is_taken = any(text in str(problem) for text in _PORT_TAKEN)
                if not is_taken or attempt == _TRIES:
                    raise
        try:
            self.wait(answers, seconds)
        except EngineUnusable:
            self.remove()
            raise

    def wait(self, answers: Callable[[str, int], bool], seconds: float) -> None:
        """Wait until it answers. Raises `EngineUnusable`, also as soon as it has ended."""
        deadline = time.monotonic() + seconds
        while not answers(self.host, self.port):
            is_running = docker("inspect", "--format", "{{.State.Running}}", self._name) == "true"
            if not is_running or time.monotonic() > deadline:
                fate = f"has not answered for {seconds:g} s" if is_running else "ended at once"
                words = self._last_words()
                raise EngineUnusable(f"the container of {self._image} {fate} ({words})")
            time.sleep(0.1)

    def start_again(self) -> None:
        docker("start", self._name)

    def restart(self) -> None:
        """Stop it in order and start it with the same data."""
        docker("restart", "--time", "30", self._name)

    def kill(self) -> None:
        """End it without any order."""
        docker("kill", self._name)

    def run(self, *command: str) -> None:
        """Run a command in it. Raises `EngineUnusable` when it fails."""
        docker("exec", self._name, *command)

    def remove(self) -> None:
        """Remove it with its data, where it is there."""
        if self._name:
            guard.remove("container" if self._is_created else "container?", self._name)
            self._name = ""

    def _create(self) -> None:
        """Create and start it. Raises `EngineUnusable`."""
        self.port = free_port()
        self._is_created, self._name = False, guard.container()
        try:
            self._described().start()
        except Exception as error:  # of the client's, the engine's, or the line's
            raise EngineUnusable(f"a container did not start ({str(error)[:300]})") from None
        self._is_created = True

    def _described(self) -> DockerContainer:
        testcontainers_config.ryuk_disabled = True
        described = DockerContainer(self._image).with_name(self._name).with_envs(**self._secrets)
        # On one address: by itself testcontainers publishes on all of them.
        ports: dict[str, Any] = described.ports
        ports[f"{self._inner_port}/tcp"] = (self.host, self.port)
        more: dict[str, Any] = {"labels": {"consent-worker.test": guard.RUN}}
        if self._entry_point:
            more["entrypoint"] = self._entry_point
        if self._command:
            described.with_command(list(self._command))
        return described.with_kwargs(**more)

    def _last_words(self) -> str:
        try:
            lines = docker("logs", "--tail", "3", self._name).splitlines()
        except EngineUnusable as problem:
            return str(problem)
        return " ".join(lines)[-300:] or "without a word"
