"""`consent-worker sandbox`: the emulator of Adobe."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from worker.cli.command_support import say
from worker.cli.event_input import BadInput
from worker.listening_ports import Named, listening
from worker.sandbox.app import Sandbox
from worker.sandbox.customer_organization import Organization


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 9000,
    set_up: Annotated[
        str, typer.Option(help="File with an organization's dataflows, datasets and schemas.")
    ] = "",
) -> None:
    """Emulate Adobe's token endpoint, streaming ingestion, profile look-up and set-up, locally."""
    asyncio.run(_serve(host, port, _read_set_up(set_up) if set_up else {}))


def _read_set_up(path: str) -> dict[str, Any]:
    try:
        document = orjson.loads(Path(path).read_bytes())
        if not isinstance(document, dict):
            raise ValueError("a JSON object is expected")
        Organization().put(document)
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from None
    return document


async def _serve(host: str, port: int, set_up: dict[str, Any]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    emulator = Sandbox(host, port)
    with listening(host, port, Named("--host", "--port")):
        await emulator.start()
    try:
        emulator.state.organization.put(set_up)
        say(f"emulator of Adobe on {emulator.url}")
        await stopping.wait()
    finally:
        await emulator.stop()
