"""SIGINT and SIGTERM in a command that works for long: finish what is in hand, say how far it came.

A second signal ends the process at once. That loses nothing either: the broker puts back what was
not settled, and a file that is not complete never bears its name.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from worker.errors import EndsCommand


class Interrupted(EndsCommand):
    """The command was asked to stop; the text says how far it came."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.exit_code = 128 + number

    @property
    def complaint(self) -> str:
        """What an interrupted command prints, see `EndsCommand`."""
        return f"interrupted: {self}"


class Stop:
    """Whether the command was asked to stop, and by which signal. `asked` can be waited for."""

    def __init__(self) -> None:
        self._number = 0
        self.asked = asyncio.Event()

    def ask(self, number: int) -> None:
        """Ask the command to stop, as signal `number` does."""
        self._number = number
        self.asked.set()

    @property
    def is_asked(self) -> bool:
        return self.asked.is_set()

    def check(self, text: str) -> None:
        """Raise `Interrupted` with `text` when the command was asked to stop."""
        if self.is_asked:
            raise Interrupted(self._number, text)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """A `Stop` for the block, asked by SIGINT or SIGTERM, in a running event loop."""
    loop = asyncio.get_running_loop()
    stop = Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def ask(number: int) -> None:
        stop.ask(number)
        for one in numbers:
            loop.remove_signal_handler(one)
            signal.signal(one, signal.SIG_DFL)

    for number in numbers:
        loop.add_signal_handler(number, ask, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
