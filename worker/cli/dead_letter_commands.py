"""`consent-worker dead-letters`: list, groups, show, replay, discard, export."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli.command_support import print_json, say
from worker.cli.json_output import JsonListOption, JsonOption
from worker.cli.letter_listing import export_letters, list_letters, not_there, show_letter
from worker.cli.letter_options import (
    ErrorOption,
    EventOption,
    FromLedgerOption,
    GroupOption,
    IntegrationOption,
    NewerOption,
    OlderOption,
    ReasonOption,
    SinceOption,
    UntilOption,
    chosen_by,
)
from worker.cli.replay_options import discard, replay
from worker.cli.streamed_files import check_target, complete_file
from worker.cli.tell_letter_groups import tell_groups
from worker.cli.terminal import shown
from worker.counting import counted

app = typer.Typer(no_args_is_help=True, help="Inspect, replay and discard dead letters.")


@app.command("list")
def list_all(
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    error: ErrorOption = "",
    event: EventOption = "",
    group: GroupOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    from_ledger: FromLedgerOption = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print a JSON array, with one object a line; with --from-ledger one object, that "
            "also says what the ledger does not know.",
        ),
    ] = False,
) -> None:
    """List dead letters, without their bodies."""
    chosen = chosen_by(
        integration=integration,
        reason=reason,
        error=error,
        event=event,
        group=group,
        since=since,
        until=until,
        older_than=older_than,
        newer_than=newer_than,
    )
    if from_ledger:
        # Later: its libraries take longer to import than a list takes.
        from worker.cli.letters_from_ledger import list_known  # noqa: PLC0415

        return list_known(chosen, limit, as_json)
    return asyncio.run(list_letters(chosen, limit, as_json))


@app.command("groups")
def groups(
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    error: ErrorOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    as_json: JsonListOption = False,
) -> None:
    """Count dead letters by what they died of, with what to do about it."""
    chosen = chosen_by(
        integration=integration, reason=reason, error=error, since=since, until=until
    )
    asyncio.run(tell_groups(chosen, as_json))


@app.command("show")
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Id as listed.")],
    from_ledger: FromLedgerOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter with its body, which holds personal data."""

    def tell(document: dict[str, Any]) -> None:
        if as_json:
            print_json(document)
            return
        for name, value in document.items():
            say(f"{name}: {shown(str(value)) if value is not None else '-'}")

    if from_ledger:
        from worker.cli.letters_from_ledger import show_known  # noqa: PLC0415

        return show_known(letter_id, tell)
    return None if asyncio.run(show_letter(letter_id, tell)) else not_there(letter_id)


app.command("replay")(replay)
app.command("discard")(discard)


@app.command("export")
def export(
    file: Annotated[str, typer.Argument(help="File for JSON lines; - writes standard output.")],
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    error: ErrorOption = "",
    event: EventOption = "",
    group: GroupOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write dead letters with their bodies as JSON lines, and leave them in the queue."""
    chosen = chosen_by(
        integration=integration,
        reason=reason,
        error=error,
        event=event,
        group=group,
        since=since,
        until=until,
        older_than=older_than,
        newer_than=newer_than,
    )
    if file == "-":
        asyncio.run(export_letters(chosen, sys.stdout.buffer, bar=not sys.stdout.isatty()))
        return
    path = Path(file).resolve()
    for one in (Path(file), path):  # as it was given, too: /dev/stdout leads to what has no name
        check_target(one, force)
    with complete_file(path) as stream:
        exported = asyncio.run(export_letters(chosen, stream, bar=True))
        check_target(path, force)  # someone else may have written it meanwhile
    say(f"exported {counted(exported, 'dead letter')}")
