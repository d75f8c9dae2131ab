"""The end of a program that has started servers: whatever ends it, nothing of them is left."""

from __future__ import annotations

import signal
from collections.abc import Callable

from devtools import guard


def to_its_end(work: Callable[[], int], say: Callable[[str], object]) -> int:
    """The exit code of `work`, at least 1 where something is left; 130 and 143 for Ctrl-C and
    SIGTERM.
    """
    is_terminated = False

    def terminate(*_: object) -> None:
        nonlocal is_terminated
        is_terminated = True
        signal.raise_signal(signal.SIGINT)  # for which the event loop has an orderly end

    # A shell without job control lets what runs in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)
    try:
        code = work()
        return code if guard.finish() else max(code, 1)
    except KeyboardInterrupt:
        say("Stopped; cleaning up")
        say("Everything is cleaned up" if guard.finish() else "Not all is cleaned up")
        return 143 if is_terminated else 130
