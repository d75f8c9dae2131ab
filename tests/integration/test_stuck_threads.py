"""Work in a thread that never ends, in a process that is to end."""

from __future__ import annotations

import subprocess
import sys

STUCK = """
import asyncio, threading
from worker.integrations.thread_waits import in_thread

async def main():
    begun = threading.Event()
    def work():
        begun.set()
        threading.Event().wait()
    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()

asyncio.run(main())
"""


def test_work_that_never_ends_does_not_keep_the_process() -> None:
    assert subprocess.run([sys.executable, "-c", STUCK], timeout=30, check=False).returncode == 0
