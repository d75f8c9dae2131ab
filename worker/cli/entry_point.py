"""Where the program begins: it obeys SIGTERM before anything else is imported.

In a container the program is process 1, for which the kernel drops every signal without a handler.
Imports take a second, and a SIGTERM that was dropped meanwhile would mean a SIGKILL after the whole
grace period. Commands put handlers of their own in the place of this one.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType


def main() -> None:
    """`consent-worker`. A SIGTERM before there is anything to finish ends it with 143."""
    signal.signal(signal.SIGTERM, _end)
    from worker.cli.main import main as run  # noqa: PLC0415 - it takes a second

    run()


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
