"""`consent-worker ledger`: reads the receipts' stream into the ledger."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
import typer

from worker.broker.broker_access import BrokerAway, what_happened
from worker.cli.command_support import complain, say
from worker.cli.event_loop import run_to_the_end
from worker.counting import counted
from worker.environment_warnings import tell_of_environment
from worker.errors import EndsCommand
from worker.interrupt import Stop, stoppable
from worker.ledger.database import Database
from worker.ledger.known_letters import LetterPass
from worker.ledger.ledger_from_settings import build_ledger, keyring_of, ledger_url
from worker.ledger.migrations import upgrade
from worker.ledger.reading_loop import Reading
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.trouble import LedgerInUse
from worker.ledger.write_turns import WriteTurns
from worker.letters.ledger_pass import LedgerPass
from worker.letters.pass_request import PassRequest, pass_of_the_other
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
        bool, typer.Option("--once", help="Read what the stream and the queue have now, and end.")
    ] = False,
    letters: Annotated[
        bool, typer.Option("--letters", help="Compare it with the dead letters now, and end.")
    ] = False,
) -> None:
    """Read the receipts' stream into the ledger until SIGTERM."""
    if letters and (rebuild or once):
        raise typer.BadParameter("--letters goes with no other option")
    settings = WorkerSettings()
    url = ledger_url(settings)
    configure_logging(settings.log_format, settings.log_level)
    tell_of_environment()
    if letters:
        say(_told(_compared(settings, url)))
        return
    with _opened(url, anew=rebuild) as database:
        run_to_the_end(_read(settings, database, once))


@contextmanager
def _opened(url: str, *, anew: bool = False) -> Iterator[Database]:
    database = Database(url, writes=True, anew=anew)
    try:
        upgrade(database)
        yield database
    finally:
        database.close()


def _compared(settings: WorkerSettings, url: str) -> LetterPass:
    """A pass of this process, or of the ledger that runs."""
    try:
        with _opened(url) as database:
            return asyncio.run(_one_pass(settings, database))
    except LedgerInUse:
        return pass_of_the_other(url)


async def _one_pass(settings: WorkerSettings, database: Database) -> LetterPass:
    taking_in = TakingIn(database, keyring_of(settings))
    with stoppable() as stop:
        return await LedgerPass(
            settings, WriteTurns(database), taking_in, stop, complain
        ).one_pass()


def _told(run: LetterPass) -> str:
    left_out = f"; {run.left_out} more are not in the ledger: it takes no more of them"
    return (
        f"{counted(run.letters, 'dead letter')} in the queue, of which {run.unknown} had no receipt"
        f"{left_out * (run.left_out > 0)}"
    )


async def _read(settings: WorkerSettings, database: Database, once: bool) -> None:
    parts = build_ledger(settings, database, once=once)
    report = parts.report
    server = ledger_server(report)
    if not once:
        port = await server.start(settings.http_host, settings.http_port)
        log.info("ledger.started", http_port=port)
    try:
        with stoppable() as stop:
            ledger_pass = LedgerPass(settings, parts.turns, parts.taking_in, stop, complain)
            if once:
                await _until_stopped(parts.reading, stop)
                await ledger_pass.attempt()
            else:
                request = PassRequest(database.path)
                beside = asyncio.create_task(ledger_pass.run(parts.upkeep.caught_up, request))
                try:
                    await _until_stopped(parts.reading, stop)
                finally:
                    await _ended(beside, stop)
    finally:
        await server.stop()
    say(f"read {counted(report.records, 'record')}")


async def _ended(beside: asyncio.Task[None], stop: Stop) -> None:
    """What works beside the reading ends, too; at once where the reading did not end as asked."""
    if not stop.is_asked:
        beside.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beside


async def _until_stopped(reading: Reading, stop: Stop) -> None:
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
