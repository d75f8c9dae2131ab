"""`consent-worker ledger`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

import structlog
import typer

from worker.broker.broker_access import BrokerAway, what_happened
from worker.cli.command_support import say
from worker.cli.event_loop import run_to_the_end
from worker.errors import EndsCommand
from worker.interrupt import stoppable
from worker.ledger.database import Database
from worker.ledger.from_settings import build_reading, ledger_url
from worker.ledger.migrations import upgrade
from worker.ledger.reading import Reading
from worker.observability.logging import configure_logging
from worker.service.ledger_server import ledger_server
from worker.settings import WorkerSettings
from worker.wire.connecting import is_connection_error

log = structlog.get_logger(__name__)


def ledger(
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Forget what is in the ledger, and read the whole stream."),
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Read what the stream has now, and end.")
    ] = False,
) -> None:
    """Read the receipts' stream into the ledger until SIGTERM."""
    settings = WorkerSettings()
    url = ledger_url(settings)
    configure_logging(settings.log_format, settings.log_level)
    database = Database(url, writes=True, anew=rebuild)
    try:
        upgrade(database)
        run_to_the_end(_read(settings, database, once))
    finally:
        database.close()


async def _read(settings: WorkerSettings, database: Database, once: bool) -> None:
    reading = build_reading(settings, database, once=once)
    server = ledger_server(reading.report)
    if not once:
        port = await server.start(settings.http_host, settings.http_port)
        log.info("ledger.started", http_port=port)
    try:
        await _until_stopped(reading)
    finally:
        await server.stop()
    say(f"read {reading.report.records} records")


async def _until_stopped(reading: Reading) -> None:
    with stoppable() as stop:
        waiting = asyncio.create_task(stop.asked.wait())
        waiting.add_done_callback(lambda _: reading.stop())
        try:
            await reading.run()
        except EndsCommand:
            raise
        except Exception as error:
            if not is_connection_error(error):
                raise
            raise BrokerAway(what_happened(error)) from None
        finally:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
