"""Output in chunks, files that are whole or not there, input as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


import asyncio
import io
import os
import threading
from pathlib import Path

import pytest

from worker.cli.streamed_files import CHUNK_BYTES, Output, chunks, complete_file


async def test_output_is_written_in_chunks_and_all_of_it() -> None:
    stream = io.BytesIO()
    output = Output(stream)
    await output.write(b"a" * 10)
    assert stream.getvalue() == b""
    await output.write(b"b" * CHUNK_BYTES)
    assert len(stream.getvalue()) == CHUNK_BYTES + 10
    await output.write(b"end")
    await output.flush()
    assert stream.getvalue().endswith(b"bend")


async def test_a_reader_that_pauses_does_not_stop_the_event_loop() -> None:
    """Else a pager would keep the heartbeats from the broker."""
    read_on = threading.Event()

    class Pager(io.BytesIO):
        def write(self, data: ReadableBuffer, /) -> int:
            assert read_on.wait(10)
            return super().write(data)

    pager = Pager()
    writing = asyncio.create_task(Output(pager).write(b"x" * CHUNK_BYTES))
    await asyncio.sleep(0)
    assert not writing.done()
    read_on.set()
    await writing
    assert len(pager.getvalue()) == CHUNK_BYTES


def test_a_complete_file_is_private_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "letters"
    target.write_text("old")
    with complete_file(target) as stream:
        stream.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_is_not_complete_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with complete_file(tmp_path / "letters") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


async def test_input_comes_as_it_is_written_until_its_end() -> None:
    reading, writing = os.pipe()
    pieces = chunks(reading, asyncio.Event())
    for piece in (b"one", b"two"):
        os.write(writing, piece)
        assert await anext(pieces) == piece
    os.close(writing)
    assert [piece async for piece in pieces] == []
    os.close(reading)


async def test_input_that_never_comes_ends_when_stopped() -> None:
    reading, writing = os.pipe()
    stopped = asyncio.Event()
    waiting = asyncio.ensure_future(anext(chunks(reading, stopped), b"ended"))
    await asyncio.sleep(0)
    stopped.set()
    assert await waiting == b"ended"
    os.close(writing)
    os.close(reading)


async def test_input_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(IsADirectoryError):
        await anext(chunks(directory, asyncio.Event()))
    os.close(directory)
