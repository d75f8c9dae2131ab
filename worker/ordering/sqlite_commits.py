"""One SQLite file, worked on by one thread: whatever waits is committed together.

A commit waits for the disk, which takes milliseconds. While one does, others gather behind it and
share the next one, so that many rounds at once cost no more commits than one after the other.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from worker.ordering.sqlite_preparation import prepare
from worker.ordering.store_protocol import StoreUnavailable

Work = Callable[[sqlite3.Connection], Any]
_MOST_AT_ONCE: Final = 256
_CALL_SECONDS: Final = 30.0
_OWNER_ONLY: Final = 0o600
_BUSY_SECONDS: Final = 10.0
"""How long a command beside the worker may keep the file from it, or the other way round."""


class _Job(NamedTuple):
    work: Work
    writes: bool
    done: asyncio.Future[Any]


class Commits:
    """The SQLite file at `path`, made if missing, for its owner's eyes; `schema` are its
    statements.

    One process at a time is its worker (`is_worker`), which a lock on a file beside it sees to;
    commands may read and write it meanwhile. After any error it is opened anew for the next call.
    """

    def __init__(self, path: Path, schema: Sequence[str], *, is_worker: bool = True) -> None:
        self._path = path
        self._schema = schema
        self._is_worker = is_worker
        self._lock: int | None = None
        self._wal = path.with_name(f"{path.name}-wal")
        self._inode = self._wal_inode = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None

    async def read(self, work: Work) -> Any:
        """What `work` reads of the SQLite file; no exception. Raises `StoreUnavailable`."""
        return await self._call(work, writes=False)

    async def write(self, work: Work) -> Any:
        """What `work` returns, once what it wrote to the SQLite file is on the disk. It may be
        called in a transaction with others, so it must not fail for what concerns itself alone.
        Raises `StoreUnavailable`, and then it may be on the disk or not.
        """
        return await self._call(work, writes=True)

    async def close(self) -> None:
        """Finish what was asked for, and let go of the SQLite file."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join, _CALL_SECONDS)
            self._thread = None

    async def _call(self, work: Work, *, writes: bool) -> Any:
        if self._thread is None:
            # A daemon: a disk that hangs must not keep a worker from ending.
            thread = threading.Thread(target=self._run, name="sqlite", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                text = f"{self._path.name}: the machine starts no thread for it"
                raise StoreUnavailable(text) from None
            self._thread = thread
        done = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(work, writes, done))
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return await done
        except TimeoutError:
            text = f"{self._path.name}: the disk did not answer within {_CALL_SECONDS:g} s"
            raise StoreUnavailable(text) from None

    # In the thread

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            is_last = False
            with suppress(queue.Empty):
                while len(jobs) < _MOST_AT_ONCE:
                    following = self._jobs.get_nowait()
                    if following is None:
                        is_last = True
                        break
                    jobs.append(following)
            self._do([one for one in jobs if not one.writes])
            self._do([one for one in jobs if one.writes])
            if is_last:
                break
        self._let_go()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _do(self, jobs: list[_Job]) -> None:
        """All of them, or none: one transaction."""
        if not jobs:
            return
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE" if jobs[0].writes else "BEGIN")
            results = [one.work(connection) for one in jobs]
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError, StoreUnavailable) as error:
            self._let_go()
            problem = StoreUnavailable(f"{self._path.name}: {_words_of(error)}")
            _resolve(jobs, [problem] * len(jobs))
        except Exception as error:  # a bug concerns those who asked, and not the thread
            self._let_go()
            _resolve(jobs, [error] * len(jobs))
        else:
            _resolve(jobs, results)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and _inode_of(self._path) != self._inode:
            self._let_go()
            raise StoreUnavailable(
                "was taken away or replaced while it was in use; what it held is lost, and it is "
                "made anew"
            )
        if self._connection is not None and _inode_of(self._wal) != self._wal_inode:
            self._let_go()  # which writes what only the open file has back into the database
            raise StoreUnavailable(
                "lost its -wal file while it was in use; what that held is written back"
            )
        if self._connection is None:
            if self._path.exists() and not self._path.is_file():
                raise StoreUnavailable("is no regular file; CONSENT_WORKER_STATE_URL must name one")
            if self._is_worker:
                self._be_the_worker()
            # By its owner alone, from the beginning: SQLite gives its other files the same rights.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY))
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_SECONDS)
            # Text that is not UTF-8 concerns its own row, which its reader then can't read.
            connection.text_factory = _text
            try:
                prepare(connection, self._schema, _BUSY_SECONDS)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._inode, self._wal_inode = _inode_of(self._path), _inode_of(self._wal)
        return self._connection

    def _be_the_worker(self) -> None:
        if self._lock is None:
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                raise StoreUnavailable(
                    "another worker has it; a file serves one, more need Redis"
                ) from None
            self._lock = lock

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _inode_of(path: Path) -> int:
    """0 where there is no such file."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _resolve(jobs: list[_Job], results: Sequence[Any]) -> None:
    def tell() -> None:
        for job, result in zip(jobs, results, strict=True):
            if job.done.done():
                continue  # who asked has gone
            if isinstance(result, Exception):
                job.done.set_exception(result)
            else:
                job.done.set_result(result)

    with suppress(RuntimeError):  # the loop has ended
        jobs[0].done.get_loop().call_soon_threadsafe(tell)


def _words_of(error: Exception) -> str:
    text = str(error)
    if isinstance(error, sqlite3.Error):
        if "locked" in text:
            return f"another process has kept it for {_BUSY_SECONDS:g} s"
        if "not a database" in text or "malformed" in text:
            return (
                "is no SQLite file, or is damaged; move it away to begin anew, after which older "
                "choices can win until each user has chosen again, and whole records at an "
                "XDM-compatible inlet can erase what is not said again: docs/runbooks/state-lost.md"
            )
        if "readonly" in text:
            return "is read-only"
        if "full" in text:
            return "the disk is full"
        return text
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return text
