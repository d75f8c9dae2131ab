"""What this process starts, guarded by a reaper: nothing of it outlives the process."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from functools import cache
from pathlib import Path

from devtools.saying import say

RUN = uuid.uuid4().hex
"""Names this run, in the environment of its processes and in the labels of its containers."""
_VARIABLE = "CONSENT_TEST_RUN"
_LAST_SECONDS = 60.0


def _temporary() -> Path:
    """Where temporary directories are. Python finds that out by a file that it writes there, and
    which would stay if an interrupt came before it is removed.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        return Path(tempfile.gettempdir())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_TEMPORARY = _temporary()  # when there is nothing to be interrupted yet


def marked() -> dict[str, str]:
    """The environment for a process that shall not outlive this one.

    Variables that steer the tests are left out: they are no settings of a worker.
    """
    _Reaper.of_this_run()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CONSENT_WORKER_TEST_")}
    return kept | {_VARIABLE: RUN}


def directory(prefix: str, kind: str = "directory") -> Path:
    """A temporary directory, to be ended by `remove`. Of the kind `server`, it is also the home
    directory (`HOME`) or the working directory of processes that end with it.
    """
    path = _TEMPORARY / f"{prefix}{uuid.uuid4().hex[:12]}"
    _Reaper.of_this_run().tell("guard", kind, str(path))
    path.mkdir(mode=0o700)
    return path


def container() -> str:
    """A name for a container that is about to be created, to be ended by `remove`."""
    name = f"consent-worker-test-{uuid.uuid4().hex[:12]}"
    _Reaper.of_this_run().tell("guard", "container?", name)
    return name


def remove(kind: str, value: str) -> None:
    """Remove what is guarded, and say so where it can't be."""
    left = _Reaper.of_this_run().ask("remove", kind, value)
    if left:
        say(f"Left behind, since it can't be removed: {'; '.join(left)}")


def finish() -> bool:
    """Remove all that is left, also by a cleaning that was interrupted; whether nothing stays.

    It is the end of this run: nothing can be guarded any more.
    """
    return _Reaper.of_this_run().end()


class _Reaper:
    """`devtools.reaper` as a process beside this one."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("reaper.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(program), f"{_VARIABLE}={RUN}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._lock = threading.RLock()
        atexit.register(self.end)

    @staticmethod
    @cache
    def of_this_run() -> _Reaper:
        return _Reaper()

    def tell(self, order: str, kind: str, value: str) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with self._lock:
            pipe.write(json.dumps([order, kind, value]) + "\n")
            pipe.flush()

    def ask(self, order: str, kind: str, value: str) -> list[str]:
        """The answer to an order. It is carried out even where the wait for it is interrupted."""
        assert self._process.stdout is not None
        with self._lock:
            try:
                self.tell(order, kind, value)
                for line in self._process.stdout:
                    about, left = json.loads(line)
                    if about == value:  # else the answer to one that was not waited for
                        return list(left)
            except BrokenPipeError:
                pass
        return [f"{value}, for its reaper was killed"]

    def end(self) -> bool:
        """End it after it has removed all that is left; whether all is removed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            return self._process.wait(_LAST_SECONDS) == 0
        except BrokenPipeError:
            return False
        except subprocess.TimeoutExpired:
            say("What this run has started is still being removed.")
            return False
