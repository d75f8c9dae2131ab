"""`consent-worker topology`: the exchanges and queues, shown or declared."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from worker.broker.topology import declare
from worker.cli.broker_access import broker_connection, topology_of
from worker.cli.command_support import command_settings, print_json, say

app = typer.Typer(no_args_is_help=True, help="Exchanges, queues and bindings.")


@app.command("show")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what the worker needs on the broker, without asking it."""
    topology = topology_of(command_settings())
    if as_json:
        print_json(asdict(topology))
        return
    for exchange in topology.exchanges:
        say(f"exchange {exchange.name} ({exchange.type})")
    for queue in topology.queues:
        say(f"queue    {queue.name}")
    for binding in topology.bindings:
        say(f"binding  {binding.source} -> {binding.destination} [{binding.routing_key}]")


@app.command("declare")
def declare_all() -> None:
    """Declare it on the broker; what is there already stays as it is."""
    asyncio.run(_declare())


async def _declare() -> None:
    settings = command_settings()
    topology = topology_of(settings)
    async with broker_connection(settings, "topology") as connection:
        await declare(connection, topology)
    say(f"declared {len(topology.exchanges)} exchanges and {len(topology.queues)} queues")
