"""`consent-worker dead-letters`: list, show, replay, discard, export."""

from __future__ import annotations

import asyncio
import base64
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import orjson
import typer

from worker.broker.letter_selection import DeadLetter, Filter
from worker.cli.command_support import print_json, say
from worker.cli.dead_letter_pass import one_pass
from worker.cli.letter_events import LetterEvent
from worker.cli.replay_and_discard import handle, not_there
from worker.cli.streamed_files import Output, check_target, complete_file
from worker.cli.terminal import in_column, json_shown, shown
from worker.reasons import DeadReason

app = typer.Typer(no_args_is_help=True, help="Inspect, replay and discard dead letters.")

_MEANINGS: Final = {str(one): one.sentence for one in DeadReason}
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
IntegrationOption = Annotated[str, typer.Option(help="Only those of this integration.")]
ReasonOption = Annotated[str, typer.Option(help="Only those with this reason code.")]
OlderOption = Annotated[str, typer.Option(help="Only those dead for longer, such as 90s, 2h, 7d.")]
NewerOption = Annotated[str, typer.Option(help="Only those dead for less long.")]
AfterLossOption = Annotated[
    bool,
    typer.Option(
        "--after-state-loss",
        help="Also those of before the state was lost: they can replace newer choices.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRunOption = Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")]


@app.command("list")
def list_all(
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    as_json: JsonOption = False,
) -> None:
    """List dead letters, without their bodies."""
    asyncio.run(_list(_filter(integration, reason, older_than, newer_than), as_json))


async def _list(chosen: Filter, as_json: bool) -> None:
    output = Output(sys.stdout.buffer)
    found = 0
    reasons: set[str] = set()
    async with one_pass("listed", bar=not sys.stdout.isatty()) as run:
        async for opened in run.matching(chosen):
            for event in opened.chosen:
                if as_json:
                    document = json_shown(orjson.dumps(_told(event.letter)).decode()).encode()
                    await output.write((b",\n" if found else b"[\n") + document)
                else:
                    await output.write(_line(event.letter))
                reasons.add(event.letter.reason)
                found += 1
        await output.flush()
    # Before the end is written: an array that was cut short must not look like a whole one.
    run.stop.check(f"listed {found}")
    if as_json:
        await output.write(b"\n]\n" if found else b"[]\n")
    else:
        for reason in sorted(reasons & set(_MEANINGS)):
            await output.write(f"{reason}: {_MEANINGS[reason]}\n".encode())
        await output.write(f"{found} dead letters\n".encode())
    await output.flush()


@app.command("show")
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Id as listed.")],
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter with its body, which holds personal data."""
    document = asyncio.run(_find(letter_id))
    if document is None:
        not_there(letter_id)
    elif as_json:
        print_json(document)
    else:
        for name, value in document.items():
            say(f"{name}: {shown(str(value)) if value is not None else '-'}")


async def _find(letter_id: str) -> dict[str, Any] | None:
    document = None
    chosen = Filter(id=letter_id)
    async with one_pass("searched") as run:
        async for opened in run.matching(chosen):
            document = _document(opened.chosen[0])
            break
    if document is None:
        run.stop.check("not found yet")
    return document


@app.command("replay")
def replay(
    letter_id: Annotated[str, typer.Option("--id", help="Only this one.")] = "",
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    after_state_loss: AfterLossOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters on their way again, each with a fresh retry budget."""
    chosen = _filter(integration, reason, older_than, newer_than, letter_id)
    handle("replayed", chosen, dry_run, as_json, after_state_loss)


@app.command("discard")
def discard(
    letter_id: Annotated[str, typer.Option("--id", help="Only this one.")] = "",
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take dead letters off the queue for good."""
    chosen = _filter(integration, reason, older_than, newer_than, letter_id)
    if not dry_run and not yes:
        typer.confirm("Discarded consents are lost for good. Go on?", abort=True, err=True)
    handle("discarded", chosen, dry_run, as_json)


@app.command("export")
def export(
    file: Annotated[str, typer.Argument(help="File for JSON lines; - writes standard output.")],
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write dead letters with their bodies as JSON lines, and leave them in the queue."""
    chosen = _filter(integration, reason, older_than, newer_than)
    if file == "-":
        asyncio.run(_export(chosen, sys.stdout.buffer, bar=not sys.stdout.isatty()))
        return
    path = Path(file).resolve()
    for one in (Path(file), path):  # as it was given, too: /dev/stdout leads to what has no name
        check_target(one, force)
    with complete_file(path) as stream:
        exported = asyncio.run(_export(chosen, stream, bar=True))
        check_target(path, force)  # someone else may have written it meanwhile
    say(f"exported {exported} dead letters")


async def _export(chosen: Filter, stream: BinaryIO, *, bar: bool) -> int:
    output = Output(stream)
    exported = 0
    async with one_pass("exported", bar=bar) as run:
        async for opened in run.matching(chosen):
            for event in opened.chosen:
                line = json_shown(orjson.dumps(_document(event)).decode())
                await output.write(line.encode() + b"\n")
                exported += 1
        await output.flush()
    run.stop.check("the export is not complete")
    return exported


def parse_age(text: str) -> int | None:
    """`90s`, `15m`, `2h` or `7d` in milliseconds; None for nothing."""
    if not text:
        return None
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if match is None:
        raise typer.BadParameter("an age is a number and s, m, h or d, such as 90s or 2h")
    return int(match.group(1)) * _UNITS[match.group(2)] * 1000


def _filter(
    integration: str, reason: str, older_than: str, newer_than: str, letter_id: str = ""
) -> Filter:
    return Filter(
        integration or None,
        reason or None,
        parse_age(older_than),
        parse_age(newer_than),
        letter_id or None,
    )


def _line(letter: DeadLetter) -> bytes:
    return (
        f"{in_column(letter.id)}  {in_column(letter.reason)}  "
        f"integration {in_column(letter.integration or '-')}  "
        f"error {in_column(letter.error or '-')}  "
        f"attempts {letter.attempts}  replays {letter.replays}\n"
    ).encode()


def _told(letter: DeadLetter) -> dict[str, Any]:
    """A letter, and what its reason means, None for a reason that is none of ours."""
    return asdict(letter) | {"meaning": _MEANINGS.get(letter.reason)}


def _document(event: LetterEvent) -> dict[str, Any]:
    document = _told(event.letter)
    try:
        return document | {"body": event.body.decode()}
    except UnicodeDecodeError:
        return document | {"body_base64": base64.b64encode(event.body).decode()}
