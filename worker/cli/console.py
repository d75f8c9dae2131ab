"""`consent-worker console`: the fleet in a browser, and the ledger beside it."""

from __future__ import annotations

from typing import Annotated

import structlog
import typer

from worker.cli.event_loop import run_to_the_end
from worker.console.process import Console
from worker.environment_warnings import tell_of_environment
from worker.interrupt import stoppable
from worker.observability.logging import configure_logging
from worker.settings import WorkerSettings

log = structlog.get_logger(__name__)


def console(
    no_ledger: Annotated[
        bool,
        typer.Option("--no-ledger", help="Only look into the ledger: another process runs it."),
    ] = False,
) -> None:
    """Show the fleet in a browser, and run the ledger beside it, until SIGTERM."""
    settings = WorkerSettings()
    configure_logging(settings.log_format, settings.log_level)
    tell_of_environment()
    run_to_the_end(_serve(Console(settings, runs_ledger=not no_ledger), settings.console_host))


async def _serve(console: Console, host: str) -> None:
    port = await console.start()
    log.info("console.started", url=f"http://{host}:{port}/")
    try:
        with stoppable() as stop:
            await stop.asked.wait()
    finally:
        await console.stop()
