"""A balancer on loopback before the nodes of a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from devtools.listener import Listener

_CHUNK = 65_536
_GREETING_BYTES = 8
_ANSWER_SECONDS = 2.0
"""A node that is stalled takes a connection, and says nothing."""

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer(Listener):
    """Gives each new line to the next node in turn that answers AMQP's greeting; an async context
    manager.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__()
        self._ports = tuple(ports)
        self._turn = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See `Listener`."""
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                greeting = await reader.readexactly(_GREETING_BYTES)
                node = await self._reach_one(greeting, writer)
                if node is not None:
                    await self._join((reader, writer), node)
        finally:
            writer.transport.abort()

    async def _reach_one(self, greeting: bytes, client: asyncio.StreamWriter) -> Line | None:
        """A line to a node, whose first answer has gone to the client; None when all are away."""
        self._turn += 1
        for offset in range(len(self._ports)):
            port = self._ports[(self._turn + offset) % len(self._ports)]
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            answer = b""
            try:
                with suppress(OSError, TimeoutError):
                    writer.write(greeting)
                    answer = await asyncio.wait_for(reader.read(_CHUNK), _ANSWER_SECONDS)
            finally:
                if not answer:
                    writer.transport.abort()
            if answer:
                client.write(answer)
                return reader, writer
        return None

    @staticmethod
    async def _join(client: Line, node: Line) -> None:
        """Pass on both ways until one end is gone, and then end the other."""

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while chunk := await reader.read(_CHUNK):
                    writer.write(chunk)
                    await writer.drain()
            writer.transport.abort()

        try:
            await asyncio.gather(copy(client[0], node[1]), copy(node[0], client[1]))
        finally:
            node[1].transport.abort()
