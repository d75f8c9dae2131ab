"""Removes what a run of tests or the demo has started, whatever became of that run.

A process of its own, started by `devtools.guard`, which tells it what will be started *before* that
is started. The run asks it to remove one thing; when the run ends, by whatever signal, its end of
the pipe closes, and all that is left is removed. Signals that a terminal or `kill` sends to the run
don't reach it, so that a second Ctrl-C interrupts no cleaning. It imports nothing of this project.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

END_SECONDS = 10.0
"""For processes to be gone after a SIGKILL."""
DOCKER_SECONDS = 30.0
LOOKS = 4
"""How often, a second apart, a container is looked for that may still be being created: who asked
for it may have been killed before the engine's answer."""


def end_processes(mark: str, home: str | None = None) -> list[str]:
    """Kill every process with `mark` ("NAME=value") in its environment, or that works in the
    directory `home`; those that stay.
    """
    deadline = time.monotonic() + END_SECONDS
    while running := _found(mark.encode(), home):
        if time.monotonic() > deadline:
            return [f"process {one} (kill -9 {one})" for one in running]
        for one in running:
            try:
                os.kill(one, signal.SIGKILL)
            except OSError:
                continue  # it has ended meanwhile
        time.sleep(0.02)
    return []


def _found(mark: bytes, home: str | None) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_at_home = home is not None and str((process / "cwd").readlink()) == home
            if is_at_home or mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue  # it has ended meanwhile, or is somebody else's
    return found


def remove_directory(path: str) -> list[str]:
    """Remove it with all that is in it; what stays."""
    shutil.rmtree(path, ignore_errors=True)
    return [f"directory {path} (rm -r {path})"] if Path(path).exists() else []


def remove_server(home: str) -> list[str]:
    """End the processes whose home or working directory it is, and remove it; what stays."""
    return end_processes(f"HOME={home}", home) + remove_directory(home)


def remove_container(name: str, *, is_there: bool) -> list[str]:
    """Remove it with its volumes; what stays. Unless it is sure to be there, look for a while."""
    command = ["docker", "rm", "--force", "--volumes", name]
    said = ""
    for look in range(LOOKS):
        if look:
            time.sleep(1)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=DOCKER_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
            continue
        said = done.stderr.strip()
        is_gone = done.returncode == 0 and not said
        if is_gone or (is_there and _NONE in said.lower()):
            return []
    if _NONE in said.lower():
        return []
    return [f"container {name} ({' '.join(command)}; docker said: {said[-200:]})"]


_NONE = "no such container"
_REMOVE: dict[str, Callable[[str], list[str]]] = {
    "directory": remove_directory,
    "server": remove_server,
    "container": lambda name: remove_container(name, is_there=True),
    "container?": lambda name: remove_container(name, is_there=False),
}


def main(mark: str) -> int:
    """Obey the lines of standard input until its end; `mark` is what the run's processes carry. 0
    when nothing is left then.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guarded: dict[str, str] = {}
    told: set[str] = set()
    for line in sys.stdin:
        order, kind, value = json.loads(line)
        if order == "guard":
            guarded[value] = kind
            continue
        left = _REMOVE[kind](value)
        if not left:
            guarded.pop(value, None)
        told.update(left)
        _answer(value, left)
    left = end_processes(mark)
    for value, kind in reversed(guarded.items()):
        left += _REMOVE[kind](value)
    if untold := [one for one in left if one not in told]:
        sys.stderr.write(f"Left behind, since it can't be removed: {'; '.join(untold)}\n")
    return 1 if left else 0


def _answer(value: str, left: list[str]) -> None:
    try:
        print(json.dumps([value, left]), flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody waits for it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
