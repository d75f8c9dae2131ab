"""Reads regular files that anybody may have put there, and tells whether they have changed.

Nothing here blocks on a FIFO, a device or a socket, and nothing reads more than it was allowed to.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_NANOSECONDS: Final = 1_000_000_000
_YOUNG_SECONDS: Final = 2
"""A clock tick of a file system may hide a second change of the same size within it; the coarsest
in use (FAT) ticks every two seconds."""


class UnusableFile(ValueError):
    """A file is no regular one, or too large; the text is a predicate without its name."""


class Stamp(NamedTuple):
    """What changes when the content of a file does: also an atomic swap from an image, which keeps
    size and time, changes the inode.
    """

    device: int
    inode: int
    changed_ns: int
    modified_ns: int
    size_bytes: int

    def is_young(self, now_ns: int) -> bool:
        """Whether a change of the file just now might leave the stamp as it is. `now_ns` since the
        epoch.
        """
        return now_ns - self.changed_ns < _YOUNG_SECONDS * _NANOSECONDS


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of the file that `path` leads to, links followed; None where there is none."""
    try:
        return stamp_from(path.stat())
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


def stamp_from(status: os.stat_result) -> Stamp:
    """The stamp of a file that a `stat` tells."""
    return Stamp(
        status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size
    )


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file of at most `most_bytes`; links are followed.

    Raises `UnusableFile`, OSError, and ValueError for a path that can't be one.
    """
    descriptor = _opened(path)
    try:
        content = bytearray()
        while len(content) <= most_bytes:
            piece = os.read(descriptor, most_bytes + 1 - len(content))
            if not piece:
                return bytes(content)
            content += piece
    finally:
        with suppress(OSError):
            os.close(descriptor)
    raise UnusableFile(f"is larger than {most_bytes} bytes")


@contextmanager
def lines_of(path: Path, most_bytes: int) -> Iterator[Iterator[bytes]]:
    """The lines of a regular file of any length, each with its end; links are followed.

    Raises `UnusableFile`, also for a line of more than `most_bytes`, OSError, and ValueError for a
    path that can't be one.
    """
    with os.fdopen(_opened(path), "rb") as stream:
        yield _lines(stream, most_bytes)


def _lines(stream: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    number = 0
    while line := stream.readline(most_bytes + 1):
        number += 1
        if len(line) > most_bytes:
            raise UnusableFile(f"has a line of more than {most_bytes} bytes, line {number}")
        yield line


def _opened(path: Path) -> int:
    """A descriptor of a regular file."""
    _check_kind(path.stat().st_mode)  # first: to open a device may already do something
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check_kind(os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise UnusableFile("is no regular file")


def printable(text: object, most_characters: int = 300) -> str:
    """`text` on one line without what a terminal would obey, shortened in its middle."""
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in str(text)[: most_characters * 4]
    )
    if len(shown) <= most_characters:
        return shown
    half = most_characters // 2
    return f"{shown[:half]}…{shown[-half:]}"
