"""Where the program begins: what it needs before anything else is imported.

It obeys signals. In a container the program is process 1, for which the kernel drops every signal
without a handler. Imports take a second, and a SIGTERM that was dropped meanwhile would mean a
SIGKILL after the whole grace period; Ctrl-C would end in a traceback. Commands put handlers of
their own in the place of this one.

And it has all three standard streams. Where the caller has closed one (`>&-`), its number would go
to the next file or connection that is opened, on which what is printed would then be written.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType


def main() -> None:
    """`consent-worker`. A SIGTERM before there is anything to finish ends it with 143, Ctrl-C with
    130.
    """
    # What is imported stays: to look for cycles among it, time and again, takes a fifth of a start.
    gc.set_threshold(100_000)
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, _end)
    _open_streams()
    from worker.cli.main import main as run  # noqa: PLC0415 - it takes a second

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _open_streams() -> None:
    """Python has None for a stream that was closed when it began."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
