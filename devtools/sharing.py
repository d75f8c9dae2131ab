"""One server for several processes of a test run."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol


class _Server(Protocol):
    @property
    def url(self) -> str: ...


@contextmanager
def shared(
    directory: Path, name: str, start: Callable[[], AbstractContextManager[_Server]]
) -> Iterator[str]:
    """The URL of the server `name`, which the first process that asks starts, and ends when all are
    done with it. `directory` is common to those processes.

    By file locks, which end with the process that holds them.
    """
    address = directory / f"{name}.url"
    with (
        (directory / f"{name}.lock").open("w") as lock,
        (directory / f"{name}.users").open("w") as users,
    ):
        _take(lock)
        if address.exists():
            _take(users, fcntl.LOCK_SH)
            url = address.read_text()
            _release(lock)
            yield url
            return
        with start() as server:
            address.write_text(server.url)
            _release(lock)
            yield server.url
            _take(lock)
            address.unlink()
            _take(users)


def _take(file: IO[str], kind: int = fcntl.LOCK_EX) -> None:
    fcntl.flock(file, kind)


def _release(file: IO[str]) -> None:
    fcntl.flock(file, fcntl.LOCK_UN)
