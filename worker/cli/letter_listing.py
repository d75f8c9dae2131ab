"""`dead-letters list`, `show` and `export`: what is told of a letter, and how."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any, BinaryIO, Final, NoReturn

import typer

from worker.broker.dead_letter import DeadLetter, fingerprint_of
from worker.broker.letter_filter import Filter
from worker.cli.command_support import say
from worker.cli.dead_letter_pass import one_pass
from worker.cli.json_output import JsonList, json_line
from worker.cli.mistyped_integration import check_spelling
from worker.cli.streamed_files import Output
from worker.cli.terminal import in_column, shown
from worker.counting import counted
from worker.letters.letter_events import LetterEvent, OpenedLetter
from worker.moments import iso, told
from worker.reasons import NO_INTEGRATION, DeadReason

_FIELDS: Final = tuple(one.name for one in fields(DeadLetter))
MEANINGS: Final = {str(one): one.sentence for one in DeadReason}
"""By reason."""


async def list_letters(chosen: Filter, limit: int | None, as_json: bool) -> None:
    """Write the chosen dead letters to standard output, the first `limit`, without their bodies."""
    output = Output(sys.stdout.buffer)
    now_ms = int(time.time() * 1000)
    array = JsonList()
    found = 0
    reasons: set[str] = set()

    def letters_of(opened: OpenedLetter) -> list[DeadLetter]:
        return [event.letter for event in opened.chosen]

    async with one_pass("listed", bar=not sys.stdout.isatty()) as run:
        async for letters in run.matching(chosen, letters_of):
            for letter in letters[: None if limit is None else limit - found]:
                if as_json:
                    await output.write(array.item(told_fields(letter, now_ms)).encode())
                else:
                    await output.write(told_line(letter, now_ms))
                reasons.add(letter.reason)
                found += 1
            if found == limit:
                break
        await output.flush()
    # Before the end is written: an array that was cut short must not look like a whole one.
    run.stop.check(f"listed {found}")
    if not found:
        check_spelling(chosen, run)
    if as_json:
        await output.write(array.end().encode())
    else:
        for reason in sorted(reasons & set(MEANINGS)):
            await output.write(f"{reason}: {MEANINGS[reason]}\n".encode())
        await output.write(f"{counted(found, 'dead letter')}\n".encode())
    await output.flush()


async def show_letter(letter_id: str, tell: Callable[[dict[str, Any]], None]) -> bool:
    """Have `tell` print the dead letter of this id with its body; whether it is there."""
    is_there = False
    now_ms = int(time.time() * 1000)
    async with one_pass("searched") as run:
        taken = run.matching(Filter(id=letter_id), lambda opened: opened.chosen[0])
        async for event in taken:
            is_there = True
            tell(_document(event, now_ms))
            sys.stdout.flush()  # to put the letters back takes longer than to find one
            break
    if not is_there:
        run.stop.check("not found yet")
    return is_there


async def export_letters(chosen: Filter, stream: BinaryIO, *, bar: bool) -> int:
    """Write the chosen dead letters to `stream` as JSON lines, with bodies; how many these are."""
    output = Output(stream)
    now_ms = int(time.time() * 1000)
    exported = 0
    async with one_pass("exported", bar=bar) as run:
        async for events in run.matching(chosen, lambda opened: opened.chosen):
            for event in events:
                await output.write(json_line(_document(event, now_ms)).encode() + b"\n")
                exported += 1
        await output.flush()
    run.stop.check("the export is not complete")
    if not exported:
        check_spelling(chosen, run)
    return exported


def not_there(letter_id: str) -> NoReturn:
    """Say that no dead letter has this id. Raises `typer.Exit`."""
    say(f"no dead letter has the id {shown(letter_id)}")
    raise typer.Exit(1)


def told_line(letter: DeadLetter, now_ms: int) -> bytes:
    """A dead letter in a line of a list."""
    return (
        f"{in_column(letter.id) or '-'}  {in_column(letter.reason)}  "
        f"integration {in_column(letter.integration or NO_INTEGRATION)}  "
        f"error {in_column(letter.error or '-')}  "
        f"attempts {letter.attempts}  replays {letter.replays}  "
        f"dead {told(letter.dead_at_ms, now_ms)}\n"
    ).encode()


def told_fields(letter: DeadLetter, now_ms: int) -> dict[str, Any]:
    """A dead letter, its group, and what its reason means, None for one that is none of ours."""
    dead_at_ms = letter.dead_at_ms
    return {name: getattr(letter, name) for name in _FIELDS} | {
        "integration": letter.integration or NO_INTEGRATION,
        "dead_at": iso(dead_at_ms),
        "dead_for_seconds": None if dead_at_ms is None else (now_ms - dead_at_ms) // 1000,
        "group": fingerprint_of(letter).group,
        "meaning": MEANINGS.get(letter.reason),
    }


def _document(event: LetterEvent, now_ms: int) -> dict[str, Any]:
    document = told_fields(event.letter, now_ms)
    try:
        return document | {"body": event.body.decode()}
    except UnicodeDecodeError:
        return document | {"body_base64": base64.b64encode(event.body).decode()}
