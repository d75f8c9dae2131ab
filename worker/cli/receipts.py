"""`consent-worker receipts`: what became of events, by their receipts."""

from __future__ import annotations

import typer

from worker.cli.receipts_export import export
from worker.cli.receipts_find import find

app = typer.Typer(no_args_is_help=True, help="What became of every choice.")

app.command("find")(find)
app.command("export")(export)
