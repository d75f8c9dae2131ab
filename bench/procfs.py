"""CPU time and memory of a process and its children, by Linux's /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """`pid` and all of its descendants that live."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in (_PROC / str(one) / "task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_microseconds(pid: int) -> float:
    """User and system time that the process and its descendants have used.

    From the scheduler's own account in nanoseconds: the tick-based one of /proc/PID/stat is too
    coarse for a run of a second.
    """
    total = 0
    for one in tree(pid):
        with suppress(OSError):
            for task in (_PROC / str(one) / "task").iterdir():
                with suppress(OSError):
                    total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def peak_memory_mb(pid: int) -> float:
    """Largest resident size so far, in MB, summed over the process and its descendants."""
    total = 0
    for one in tree(pid):
        with suppress(OSError):
            for line in (_PROC / str(one) / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1])
    return total * 1024 / 1e6
