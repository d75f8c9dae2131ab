"""Writes the lines of the log, and never lets an event wait for who reads them.

A log goes into a pipe, whose reader may pause: a collector that is overloaded, a stopped terminal.
A write would then block the process, with all its deliveries and its endpoints of health.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

_AT_ONCE_BYTES: Final = 4096
"""PIPE_BUF of Linux: a pipe that is ready takes as much without blocking (pipe(7), poll(2))."""
_LAST_SECONDS: Final = 1.0
MOST_WAITING_BYTES: Final = 4 * 1024 * 1024
"""Of lines that wait for their reader; what comes then is dropped, and counted."""


class LogWriter:
    """Writes the log to `target` at once where that does not block, else in a thread, in the same
    order. `on_dropped` is told how many lines were dropped, when the reader has gone on, or the
    disk has room again.
    """

    def __init__(self, target: TextIO, on_dropped: Callable[[int], None]) -> None:
        self._target = target
        self._on_dropped = on_dropped
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._is_midway = False
        """Whether what was written last ends within a line."""
        self._is_torn = False
        """Whether it does, and nobody goes on with that line."""
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._descriptor: int | None = None
        with suppress(OSError, ValueError):  # a stream of a test has none
            self._descriptor = target.fileno()
            self._ready = select.poll()
            self._ready.register(self._descriptor, select.POLLOUT)

    def write(self, line: str) -> None:
        """Write a whole log line. One that can't be written is lost, and stops no delivery."""
        if self._descriptor is None:
            with suppress(OSError, ValueError):
                self._target.write(line + "\n")
                self._target.flush()
            return
        data = line.encode(errors="backslashreplace") + b"\n"
        with self._lock:
            if not self._is_idle.is_set():
                self._write_later(data)
                return
            data = self._apart(data)
            if len(data) > _AT_ONCE_BYTES or not self._ready.poll(0):
                self._write_later(data)
                return
            try:
                rest = data[os.write(self._descriptor, data) :]
            except OSError:
                self._dropped += 1  # such as on a disk that is full
                return
            self._is_midway = bool(rest)  # in no pipe, which takes so few bytes whole
            self._is_torn = bool(rest) and not self._write_later(rest)
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._on_dropped(dropped)

    def finish(self, seconds: float = _LAST_SECONDS) -> None:
        """Wait until the log is written, for so long at the most: at the end of the process."""
        self._is_idle.wait(seconds)

    def _apart(self, data: bytes) -> bytes:
        """The line `data`, which is glued to no line that was torn before it."""
        return b"\n" + data if self._is_torn and not data.startswith(b"\n") else data

    def _write_later(self, data: bytes) -> bool:
        """Whether the thread is to write `data`; else it is dropped."""
        if self._waiting_bytes + len(data) > MOST_WAITING_BYTES:
            self._dropped += 1
            return False
        if self._is_idle.is_set():
            try:
                threading.Thread(target=self._write_waiting, name="log", daemon=True).start()
            except RuntimeError:  # the machine has no thread for it, and nobody waits for that
                self._dropped += 1
                return False
            self._is_idle.clear()
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        return True

    def _write_waiting(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_idle.set()
                    dropped, self._dropped = self._dropped, 0
                    break
                data = self._waiting.popleft()
                self._waiting_bytes -= len(data)
            self._write_whole(data)
        if dropped:
            self._on_dropped(dropped)

    def _write_whole(self, data: bytes) -> None:
        """Write a line, or what is left of one, however long that takes."""
        if self._descriptor is None:
            return
        data = self._apart(data)
        try:
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                    self._is_midway = bool(data)
                except BlockingIOError:  # whoever shares the descriptor has made it so
                    self._ready.poll()
        except OSError:
            with self._lock:
                self._dropped += 1
        self._is_torn = self._is_midway
