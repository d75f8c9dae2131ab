"""A program that starts servers can be ended, however it was started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = (
    "import sys, time\nfrom devtools.interrupt import to_its_end\n"
    "def work():\n    print('up', flush=True)\n    time.sleep(60)\n    return 0\n"
    "sys.exit(to_its_end(work, print))\n"
)


def test_sigterm_ends_what_a_shell_has_put_in_the_background() -> None:
    """Without job control a shell lets it ignore SIGINT, to which a SIGTERM leads."""
    running = subprocess.Popen(
        ["sh", "-c", f"trap '' INT; exec {sys.executable} -c \"$0\"", PROGRAM],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "up\n"
    running.send_signal(signal.SIGTERM)
    said = running.stdout.read()
    assert running.wait(30) == 143
    assert said == "Stopped; cleaning up\nEverything is cleaned up\n"
