"""Whoever reads the log may stand still, and keeps nobody waiting."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TextIO

import pytest

from worker.observability.log_writer import MOST_WAITING_BYTES, LogWriter

LINE = "x" * 999


class Log:
    """A log that is written to one descriptor, and read from another."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reader = os.fdopen(reading)
        self.target: TextIO = os.fdopen(writing, "w")
        self.dropped: list[int] = []
        self.writer = LogWriter(self.target, self.dropped.append)

    def lines(self, number: int) -> list[str]:
        return [self.reader.readline().rstrip("\n") for _ in range(number)]

    def close(self) -> None:
        self.reader.close()
        self.writer.finish(10)
        self.target.close()


class Pipe(Log):
    def __init__(self) -> None:
        super().__init__(*os.pipe())


class File(Log):
    def __init__(self, path: Path) -> None:
        writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        super().__init__(os.open(path, os.O_RDONLY), writing)

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """No file takes more bytes than that, as a disk that is full in the midst of a write."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Socket(Log):
    """Takes as much of a line as it has room for, and does not wait with the rest."""

    def __init__(self) -> None:
        near, far = socket.socketpair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # as little as there may be
        near.setblocking(False)
        super().__init__(far.detach(), near.detach())


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def test_a_line_is_there_at_once(pipe: Pipe) -> None:
    threads = threading.active_count()
    pipe.writer.write("one")
    assert threading.active_count() == threads
    assert pipe.lines(1) == ["one"]


def test_lines_that_wait_for_their_reader_come_in_order(pipe: Pipe) -> None:
    texts = [f"{number} {LINE}" for number in range(1_000)]  # sixteen times what a pipe holds
    for text in texts:
        pipe.writer.write(text)
    assert pipe.lines(1_000) == texts
    pipe.writer.finish(10)
    pipe.writer.write("the next")
    assert pipe.lines(1) == ["the next"]
    assert pipe.dropped == []


def test_what_is_too_much_is_dropped_and_counted_and_no_line_is_torn(pipe: Pipe) -> None:
    number = 2 * MOST_WAITING_BYTES // len(LINE)
    for _ in range(number):
        pipe.writer.write(LINE)
    kept: list[str] = []
    while len(kept) * (len(LINE) + 1) < MOST_WAITING_BYTES:
        kept += pipe.lines(1)
    pipe.writer.finish(10)
    pipe.target.flush()
    os.set_blocking(pipe.reader.fileno(), False)
    kept += pipe.reader.read().split()
    assert set(kept) == {LINE}
    assert pipe.dropped == [number - len(kept)]


def test_a_long_line_is_written_whole(pipe: Pipe) -> None:
    pipe.writer.write("y" * 300_000)
    assert pipe.lines(1) == ["y" * 300_000]


def test_what_takes_a_part_of_a_line_gets_the_rest_when_it_has_room() -> None:
    log = Socket()
    # After the short one there is room for a part of the next.
    texts = ["short", *(f"{number} {LINE * 3}" for number in range(50))]
    for text in texts:
        log.writer.write(text)
    assert log.lines(51) == texts
    assert log.dropped == []
    log.close()


def test_no_line_is_glued_to_one_that_a_full_disk_has_torn(tmp_path: Path) -> None:
    log = File(tmp_path / "log")
    with log.room(2_000):
        log.writer.write(LINE)
        log.writer.write(LINE * 2)
        log.writer.finish(10)
        log.writer.write("lost as well")
    log.writer.write("kept")
    assert log.lines(3) == [LINE, LINE + "x", "kept"]
    assert sum(log.dropped) == 2
    log.close()


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    pipe.reader.close()
    for _ in range(1_000):
        pipe.writer.write(LINE)
    pipe.writer.finish(10)


def test_a_stream_without_a_descriptor_gets_its_lines() -> None:
    stream = StringIO()
    LogWriter(stream, lambda _: None).write("one")
    assert stream.getvalue() == "one\n"


def test_lines_that_a_full_disk_does_not_take_are_counted_and_told_of_when_it_does(
    tmp_path: Path,
) -> None:
    dropped: list[int] = []
    log = tmp_path / "log"
    with log.open("w") as there, Path("/dev/full").open("w") as target:
        writer = LogWriter(target, dropped.append)
        for _ in range(3):
            writer.write("lost")
        assert dropped == []
        os.dup2(there.fileno(), target.fileno())  # as if somebody had made room
        writer.write("kept")
        writer.finish(10)
    assert log.read_text() == "kept\n"
    assert dropped == [3]
