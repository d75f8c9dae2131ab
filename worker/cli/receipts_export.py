"""`consent-worker receipts export`: a file for an auditor, who checks it without this program."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from worker.cli.command_support import command_settings, say
from worker.cli.json_output import json_line
from worker.cli.ledger_access import now_ms, opened_ledger, time_in
from worker.cli.streamed_files import Output, check_target, complete_file
from worker.counting import counted
from worker.ledger.database import Database
from worker.ledger.exporting import Selection, export_file


def export(
    file: Annotated[str, typer.Argument(help="File for JSON lines; - writes standard output.")],
    integration: Annotated[str, typer.Option(help="Only receipts of this integration.")] = "",
    since: Annotated[str, typer.Option(help="Only of after then: 2h, 7d or a time.")] = "",
    until: Annotated[str, typer.Option(help="Only of before then.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write receipts with their places in the chains, and how to check them."""
    now = now_ms()
    selection = Selection(
        integration or None, time_in(since, "--since", now), time_in(until, "--until", now)
    )
    with opened_ledger(command_settings()) as database:
        if file == "-":
            asyncio.run(_export(database, selection, now, sys.stdout.buffer))
            return
        path = Path(file).resolve()
        for one in (Path(file), path):
            check_target(one, force)
        with complete_file(path) as stream:
            receipts = asyncio.run(_export(database, selection, now, stream))
            check_target(path, force)
    say(f"exported {counted(receipts, 'receipt')}")


async def _export(database: Database, selection: Selection, now: int, stream: BinaryIO) -> int:
    """How many receipts were written in full."""
    output = Output(stream)
    line: dict[str, Any] = {}
    with database.transaction() as connection:
        for line in export_file(connection, selection, now):
            await output.write(json_line(line).encode() + b"\n")
    await output.flush()
    return int(line["receipts"])
