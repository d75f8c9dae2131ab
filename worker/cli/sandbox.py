"""`consent-worker sandbox`: the emulator of Adobe."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from worker.cli.shared import say
from worker.sandbox.app import Sandbox


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 9000,
) -> None:
    """Emulate Adobe's token endpoint, streaming ingestion and profile look-up, locally."""
    asyncio.run(_serve(host, port))


async def _serve(host: str, port: int) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with Sandbox(host, port) as running:
        say(f"emulator of Adobe on {running.url}")
        await stopping.wait()
