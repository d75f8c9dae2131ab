"""`consent-worker receipts export`: a file for an auditor, who checks it without this program."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from worker.cli.command_support import command_settings, say
from worker.cli.json_output import json_line
from worker.cli.ledger_access import opened_ledger, time_in
from worker.cli.streamed_files import Output, check_target, complete_file
from worker.counting import counted
from worker.ledger.database import Database
from worker.ledger.exporting import Selection, export_file
from worker.ledger.exporting_acts import ActSelection, export_acts
from worker.moments import now_ms


def export(
    file: Annotated[str, typer.Argument(help="File for JSON lines; - writes standard output.")],
    acts: Annotated[
        bool, typer.Option("--acts", help="What people did, in place of receipts.")
    ] = False,
    integration: Annotated[str, typer.Option(help="Only those of this integration.")] = "",
    since: Annotated[str, typer.Option(help="Only of after then: 2h, 7d or a time.")] = "",
    until: Annotated[str, typer.Option(help="Only of before then.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write receipts, or acts, with their places in the chains, and how to check them."""
    now = now_ms()
    asked_for = (
        integration or None,
        time_in(since, "--since", now),
        time_in(until, "--until", now),
    )
    selection = ActSelection(*asked_for) if acts else Selection(*asked_for)
    settings = command_settings()
    secret = settings.receipts_secret.get_secret_value().encode()
    with opened_ledger(settings) as database:
        if file == "-":
            asyncio.run(_export(database, selection, now, secret, sys.stdout.buffer))
            return
        path = Path(file).resolve()
        for one in (Path(file), path):
            check_target(one, force)
        with complete_file(path) as stream:
            exported = asyncio.run(_export(database, selection, now, secret, stream))
            check_target(path, force)
    say(f"exported {counted(exported, 'act' if acts else 'receipt')}")


async def _export(
    database: Database,
    selection: Selection | ActSelection,
    now: int,
    secret: bytes,
    stream: BinaryIO,
) -> int:
    """How many receipts, or acts, were written."""
    output = Output(stream)
    line: dict[str, Any] = {}
    with database.transaction() as connection:
        if isinstance(selection, ActSelection):
            lines = export_acts(connection, selection, now, secret)
        else:
            lines = export_file(connection, selection, now, secret)
        for line in lines:
            await output.write(json_line(line).encode() + b"\n")
    await output.flush()
    return int(line["acts" if isinstance(selection, ActSelection) else "receipts"])
