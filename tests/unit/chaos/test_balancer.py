"""The balancer of a run of chaos, before nodes that are up, away or stalled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from devtools.chaos import balancer as module
from devtools.chaos.balancer import Balancer
from devtools.ports import free_port

GREETING = b"AMQP\x00\x00\x09\x01"


class Node:
    """Answers a greeting with its name, and then repeats what it is told; stalled, it says nothing
    at all.
    """

    def __init__(self, name: bytes, *, is_stalled: bool = False) -> None:
        self._name = name
        self._is_stalled = is_stalled
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield
            self.die()

    def die(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        assert await reader.readexactly(len(GREETING)) == GREETING
        if not self._is_stalled:
            writer.write(self._name)
            while said := await reader.read(100):
                writer.write(said)


async def greeted(port: int) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """Whose answer a client gets, and its line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GREETING)
    async with asyncio.timeout(10):
        return await reader.read(1), reader, writer


async def test_each_line_goes_to_the_next_node_and_passes_both_ways() -> None:
    one, two = Node(b"1"), Node(b"2")
    async with one.running(), two.running(), Balancer([one.port, two.port]) as balancer:
        lines = [await greeted(balancer.port) for _ in range(4)]
        assert sorted(name for name, _, _ in lines) == [b"1", b"1", b"2", b"2"]
        _, reader, writer = lines[0]
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"


async def test_a_node_that_is_away_is_passed_over() -> None:
    alive = Node(b"1")
    async with alive.running(), Balancer([free_port(), alive.port]) as balancer:
        assert [(await greeted(balancer.port))[0] for _ in range(3)] == [b"1"] * 3


async def test_a_node_that_stands_still_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 0.05)
    alive, stalled = Node(b"1"), Node(b"2", is_stalled=True)
    async with (
        alive.running(),
        stalled.running(),
        Balancer([stalled.port, alive.port]) as balancer,
    ):
        assert [(await greeted(balancer.port))[0] for _ in range(3)] == [b"1"] * 3


async def test_the_line_ends_with_its_node() -> None:
    node = Node(b"1")
    async with node.running(), Balancer([node.port]) as balancer:
        _, reader, _ = await greeted(balancer.port)
        node.die()
        async with asyncio.timeout(10):
            with suppress(ConnectionResetError):
                assert await reader.read(1) == b""


async def test_without_any_node_the_line_ends() -> None:
    async with Balancer([free_port()]) as balancer:
        with suppress(ConnectionResetError):
            assert (await greeted(balancer.port))[0] == b""
