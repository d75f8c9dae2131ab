"""Input and output of commands, of any length, read and written in pieces.

Nothing here blocks the event loop: a pager that is not read on, or a producer that pauses, would
otherwise keep heartbeats from the broker, and it would close the connection.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import typer

CHUNK_BYTES: Final = 65_536


class Output:
    """The output of a command, written in chunks of about 64 KiB; `flush` writes the rest."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        """Write `data`, now or with what follows. Raises OSError."""
        self._waiting += data
        if len(self._waiting) >= CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write all output that waits. Raises OSError."""
        data, self._waiting = bytes(self._waiting), bytearray()
        await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()


@contextmanager
def complete_file(path: Path) -> Iterator[BinaryIO]:
    """A file for its owner's eyes that gets its name only when the block ends well.

    It is on the disk by then, so that what was exported may be discarded. Killed meanwhile, a
    file `.NAME.….part` is left behind beside it.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def check_target(path: Path, force: bool) -> None:
    """Raises `typer.BadParameter` for a file that can't be written, or must not be replaced."""
    if not path.parent.is_dir():
        raise typer.BadParameter(f"{path.parent} is not a directory")
    if path.exists() and not path.is_file():
        raise typer.BadParameter(f"{path} is no regular file; use - for standard output")
    if path.exists() and not force:
        raise typer.BadParameter(f"{path} exists; --force replaces it")


async def chunks(descriptor: int, stopped: asyncio.Event) -> AsyncIterator[bytes]:
    """The input of a command, in pieces and as it comes, until the end or `stopped`. Raises
    OSError.

    Each read has a thread of its own that nobody waits for at the end: one that waits for a
    terminal would otherwise keep a command alive that was told to stop.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.create_task(stopped.wait())
    try:
        while True:
            arrived: asyncio.Future[bytes] = loop.create_future()
            threading.Thread(target=_read, args=(descriptor, loop, arrived), daemon=True).start()
            awaited: set[asyncio.Future[Any]] = {arrived, stopping}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if stopped.is_set():
                arrived.cancel()
                return
            if not arrived.result():
                return
            yield arrived.result()
    finally:
        stopping.cancel()


def _read(descriptor: int, loop: asyncio.AbstractEventLoop, arrived: asyncio.Future[bytes]) -> None:
    def settle(chunk: bytes, problem: OSError | None) -> None:
        if arrived.done():
            return
        if problem is None:
            arrived.set_result(chunk)
        else:
            arrived.set_exception(problem)

    chunk, problem = b"", None
    try:
        chunk = os.read(descriptor, CHUNK_BYTES)
    except OSError as error:
        problem = error
    with suppress(RuntimeError):  # the loop is closed: the command has ended
        loop.call_soon_threadsafe(settle, chunk, problem)
