"""A relay before the broker that notices when each event is delivered to a worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from bench.stub.figures import Figures

_LONGEST_MARK: Final = 32


class Tap:
    """Relays to the broker at `host` and `port`."""

    def __init__(self, host: str, port: int, figures: Figures) -> None:
        self._broker = (host, port)
        self._figures = figures

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a worker."""
        from_broker, to_broker = await asyncio.open_connection(*self._broker)
        await asyncio.gather(
            self._copy(reader, to_broker, is_watched=False),
            self._copy(from_broker, writer, is_watched=True),
        )

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_watched: bool
    ) -> None:
        tail = b""
        with suppress(OSError):
            while chunk := await reader.read(262_144):
                if is_watched:
                    # Noted before it is passed on: what passing on costs is the worker's time.
                    self._figures.saw_delivery(tail + chunk)
                    tail = chunk[-_LONGEST_MARK:]
                writer.write(chunk)
                await writer.drain()
        writer.close()
