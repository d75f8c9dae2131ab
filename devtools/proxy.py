"""An in-process TCP proxy whose line can be cut, stalled, slowed down and restored."""

from __future__ import annotations

import asyncio
import math
from asyncio import FIRST_COMPLETED
from contextlib import suppress

from yarl import URL

from devtools.held_deliveries import HeldDeliveries
from devtools.listener import Listener

_CHUNK = 65_536


_SAID_BYTES = 4096
_LONGEST_SECONDS = 600.0


def through(url: str, port: int) -> str:
    """The same URL, by way of a line at this machine's `port`."""
    return str(URL(url).with_host("127.0.0.1").with_port(port))


class _Line:
    """One connection: what the client `said` first, and whether it is passed on."""

    def __init__(self) -> None:
        self.said = b""
        self.flowing = asyncio.Event()
        self.flowing.set()


class TcpProxy(Listener):
    """Forwards `port` to a target; an async context manager."""

    def __init__(self, target_host: str, target_port: int) -> None:
        super().__init__()
        self._target = (target_host, target_port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self._delivering: asyncio.Event | None = None
        self._is_cut = False
        self._stalling_words = b""
        self._lines: list[_Line] = []
        self._bytes_a_second = 0.0
        self.answered_bytes = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection, and each new one, until `restore`."""
        self._is_cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Let connections stand and accept new ones, but pass nothing on until `restore`."""
        self._flowing.clear()

    def stall_those_who_said(self, words: bytes) -> int:
        """Let the present connections stand whose client said `words` at its beginning, and pass
        nothing on until `restore`; how many these are. Others, and new ones, go on.
        """
        stalled = [line for line in self._lines if words in line.said and line.flowing.is_set()]
        for line in stalled:
            line.flowing.clear()
        return len(stalled)

    def stall_who_says(self, words: bytes) -> None:
        """Stall each connection whose client says `words` from now on, until `restore`."""
        self._stalling_words = words

    def hold_answers(self) -> None:
        """Pass on what clients say, but nothing that the target answers, until `restore`."""
        self._answering.clear()

    def hold_deliveries(self, seconds: float = math.inf) -> None:
        """Of each new connection with a broker pass on all but the messages, for so long after the
        first answer, or until `restore`.
        """
        self._delivering = asyncio.Event()
        self._delivers_after_seconds = seconds

    def slow_answers(self, bytes_a_second: float) -> None:
        """Pass on so much of each connection that the target answers by, until `restore`."""
        self._bytes_a_second = bytes_a_second

    def restore(self) -> None:
        """Pass everything on again."""
        self._bytes_a_second = 0.0
        self._is_cut = False
        self._stalling_words = b""
        self._flowing.set()
        self._answering.set()
        if self._delivering is not None:
            self._delivering.set()
            self._delivering = None
        for line in self._lines:
            line.flowing.set()

    async def __aexit__(self, *exit_of: object) -> None:
        self.cut()
        await super().__aexit__(*exit_of)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See `Listener`."""
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        line = _Line()
        self._lines.append(line)
        try:
            await asyncio.gather(
                self._copy(reader, far_writer, line),
                self._copy_answers(far_reader, writer, line),
            )
        finally:
            self._lines.remove(line)
            self._writers -= {writer, far_writer}
            for one in (writer, far_writer):
                one.transport.abort()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                line.said += chunk[: _SAID_BYTES - len(line.said)]
                if self._stalling_words and self._stalling_words in chunk:
                    line.flowing.clear()
                await self._flowing.wait()
                await line.flowing.wait()
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()

    async def _copy_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line
    ) -> None:
        with suppress(OSError):
            if self._delivering is not None:
                await self._copy_all_but_messages(reader, writer, self._delivering)
            while chunk := await reader.read(_CHUNK):
                await self._flowing.wait()
                await line.flowing.wait()
                await self._answering.wait()
                writer.write(chunk)
                await writer.drain()
                self.answered_bytes += len(chunk)
                if self._bytes_a_second:
                    await asyncio.sleep(len(chunk) / self._bytes_a_second)
        writer.transport.abort()

    async def _copy_all_but_messages(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: asyncio.Event
    ) -> None:
        """Until it `ends`, or its time is over."""
        held = HeldDeliveries()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + min(self._delivers_after_seconds, _LONGEST_SECONDS)
        ending = asyncio.create_task(ends.wait())
        reading = asyncio.create_task(reader.read(_CHUNK))
        try:
            while not ends.is_set() and (left := ends_at - loop.time()) > 0:
                await asyncio.wait({reading, ending}, timeout=left, return_when=FIRST_COMPLETED)
                if reading.done():
                    if not (chunk := reading.result()):
                        return
                    writer.write(held.passed(chunk))
                    reading = asyncio.create_task(reader.read(_CHUNK))
            writer.write(held.let_go())
            writer.write(await reading)
        finally:
            ending.cancel()
            reading.cancel()
