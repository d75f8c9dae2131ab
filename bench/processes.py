"""A process under measurement, and what it has used."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import procfs

STOP_SECONDS = 8.0


class Measured:
    """A command in a process group of its own, on `cores`; it ends with the `with` block."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], cores: Collection[int]
    ) -> None:
        handle, name = tempfile.mkstemp(prefix="consent-bench-", suffix=".log")
        self._log = Path(name)
        self._process = subprocess.Popen(
            command,
            env=os.environ | dict(env),
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
        )
        os.close(handle)
        self.move_to(cores)

    @property
    def cpu_microseconds(self) -> float:
        return procfs.cpu_microseconds(self._process.pid)

    @property
    def peak_memory_mb(self) -> float:
        return procfs.peak_memory_mb(self._process.pid)

    def move_to(self, cores: Collection[int]) -> None:
        """Run on these cores, with all threads and processes that it starts from now on."""
        with suppress(ProcessLookupError):  # `check` says why it has ended
            os.sched_setaffinity(self._process.pid, cores)

    def check(self) -> None:
        """RuntimeError with the end of its log when it has ended by itself."""
        if self._process.poll() is not None:
            raise RuntimeError(f"ended by itself:\n{self._log.read_text(errors='replace')[-3000:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.unlink()
