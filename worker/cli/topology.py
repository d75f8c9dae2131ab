"""`consent-worker topology`: the exchanges and queues, shown or declared."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import typer

from worker.broker.broker_access import broker_connection, topology_of
from worker.broker.topology import declare
from worker.cli.command_support import command_settings, print_json, say
from worker.cli.json_output import JsonOption
from worker.cli.topology_migrate import migrate
from worker.cli.topology_stream import declare_stream_or_complain, wanted_stream
from worker.counting import counted

app = typer.Typer(no_args_is_help=True, help="Exchanges, queues and bindings.")
app.command("migrate")(migrate)


@app.command("show")
def show(
    as_json: JsonOption = False,
) -> None:
    """Show what the worker needs on the broker, without asking it."""
    settings = command_settings()
    topology, stream = topology_of(settings), wanted_stream(settings)
    if as_json:
        print_json(asdict(topology) | {"stream": None if stream is None else asdict(stream)})
        return
    for exchange in topology.exchanges:
        say(f"exchange {exchange.name} ({exchange.type})")
    for queue in topology.queues:
        say(f"queue    {queue.name}")
    if stream is not None:
        say(f"stream   {stream.name}")
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
        if (stream := await declare_stream_or_complain(settings, connection)) is not None:
            say(f"declared the stream {stream.name}")
    exchanges = counted(len(topology.exchanges), "exchange")
    say(f"declared {exchanges} and {counted(len(topology.queues), 'queue')}")
