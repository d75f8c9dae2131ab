"""The processes of the fleet that are struck: workers, and the ledger."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

_STOP_SECONDS = 60.0
"""More than a worker may take: its own limit, and what it takes to close lines that stall."""


class Member:
    """One of the fleet, in one process after the other that `begin` starts; `tell` is told of what
    is wrong with it.
    """

    def __init__(
        self, name: str, begin: Callable[[], subprocess.Popen[bytes]], tell: Callable[[str], None]
    ) -> None:
        self._name = name
        self._begin = begin
        self._tell = tell
        self._process = begin()

    def kill(self) -> None:
        self._look()
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._look()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._tell(f"{self._name} did not stop within {_STOP_SECONDS:g} s of a SIGTERM")
            self.kill()

    def start(self) -> None:
        self._process = self._begin()

    def stall(self) -> None:
        self._look()
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)

    def look(self) -> None:
        """Tell of it if it has ended by itself, and start it again."""
        if self._look():
            self.start()

    def _look(self) -> bool:
        code = self._process.poll()
        if code is not None:
            self._tell(f"{self._name} ended by itself with exit code {code}")
        return code is not None
