"""`dead-letters list` and `show` with `--from-ledger`: what the ledger knows of letters, at once,
and what it does not know.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final, NamedTuple

import typer
from sqlalchemy import Connection

from worker.broker.broker_access import BrokerAway, broker_connection
from worker.broker.letter_filter import Filter
from worker.broker.queue_names import Names
from worker.cli.command_support import command_settings, complain, print_json, say
from worker.cli.ledger_access import opened_ledger, shown_at
from worker.cli.letter_listing import MEANINGS, told_fields, told_line
from worker.cli.terminal import shown
from worker.counting import counted
from worker.ledger.known_letters import (
    KnownLetter,
    LetterPass,
    known_letters,
    last_pass,
    latest_letters,
    letters_called,
)
from worker.ledger.packing import event_prefix, pack_event
from worker.moments import iso, now_ms
from worker.settings import WorkerSettings

_PAGE: Final = 50
_NEVER_SEEN: Final = (
    "no pass over the queue was made yet, so the ledger knows letters by their receipts alone: "
    "`consent-worker ledger --letters` makes one"
)


def list_known(chosen: Filter, limit: int | None, as_json: bool) -> None:
    """Print the latest chosen dead letters that the ledger knows, 50 unless more are asked for; and
    how many letters the queue has that the ledger does not know.
    """
    settings, now = command_settings(), now_ms()
    with opened_ledger(settings) as database, database.transaction() as connection:
        run = last_pass(connection)
        found = list(islice(_chosen(connection, chosen), limit or _PAGE))
        known = known_letters(connection)
    if as_json:
        unknown = _Unknown(run, known, asyncio.run(_in_queue(settings)))
        print_json(_document(found, unknown, now))
        return
    for one in found:
        say(told_line(one.letter, now).decode().rstrip())
    for reason in sorted({one.letter.reason for one in found} & set(MEANINGS)):
        say(f"{reason}: {MEANINGS[reason]}")
    say(f"{counted(len(found), 'dead letter')}, the latest first")
    sys.stdout.flush()  # RabbitMQ may be away, and asking it take long
    for sentence in _Unknown(run, known, asyncio.run(_in_queue(settings))).sentences(now):
        say(f"- {sentence}")


def show_known(letter_id: str, tell: Callable[[dict[str, Any]], None]) -> None:
    """Have `tell` print what the ledger knows of a dead letter. Raises `typer.Exit` where that is
    nothing.
    """
    now = now_ms()
    with opened_ledger(command_settings()) as database, database.transaction() as connection:
        run = last_pass(connection)
        found = letters_called(connection, letter_id)
    seen = shown_at(run.began_at, now) if run is not None else None
    for one in found[:1]:
        tell(_fields(one, now) | {"seen_in_the_queue": seen, "body": None})
        complain(
            "the body is in the queue alone, if the letter still lies there: "
            f"`consent-worker dead-letters show {shown(letter_id)}`"
        )
        return
    as_of = (
        f"the ledger saw no letter {shown(letter_id)} in the queue {seen}" if seen else _NEVER_SEEN
    )
    say(
        f"{as_of}; `consent-worker dead-letters show {shown(letter_id)}` looks into the queue "
        "itself"
    )
    raise typer.Exit(1)


def _chosen(connection: Connection, chosen: Filter) -> Iterator[KnownLetter]:
    prefix = None if chosen.event is None else event_prefix(pack_event(chosen.event))
    of_any_group = replace(chosen, group=None)
    for one in latest_letters(connection):
        if prefix is not None and not one.life.startswith(prefix):
            continue
        if of_any_group.matches(one.letter) and chosen.group in (None, one.group):
            yield one


def _fields(one: KnownLetter, now: int) -> dict[str, Any]:
    return told_fields(one.letter, now) | {"group": one.group}


async def _in_queue(settings: WorkerSettings) -> int | None:
    """Letters that lie in the queue now; None where RabbitMQ can't be asked."""
    try:
        async with broker_connection(settings, "dead-letters") as connection:
            channel = await connection.channel()
            name = Names(settings.namespace).dead_letters
            declared = await channel.declare_queue(name, passive=True)
            return declared.declaration_result.message_count or 0
    except BrokerAway:
        return None


class _Unknown(NamedTuple):
    """What a list from the ledger does not tell: `run` is the last pass, `known` are letters that
    the ledger knows of, in the queue or not any more, `in_queue` those that lie there now.
    """

    run: LetterPass | None
    known: int
    in_queue: int | None

    @property
    def missing(self) -> int | None:
        """Letters in the queue that the ledger does not know, at least."""
        return None if self.in_queue is None else max(0, self.in_queue - self.known)

    def sentences(self, now: int) -> Iterator[str]:
        """All of it, for people."""
        if self.run is None:
            yield _NEVER_SEEN
        else:
            yield (
                f"the ledger saw the queue {shown_at(self.run.began_at, now)}: a letter that was "
                "replayed or discarded since may be here, and one without an id came since"
            )
        if self.in_queue is None:
            yield f"the ledger knows {self.known}; RabbitMQ can't be asked how many the queue has"
        else:
            missing = f"at least {self.missing} of them are not in the ledger"
            yield (
                f"letters in the queue now: {self.in_queue}; that the ledger knows: {self.known}"
                f"{f', so {missing}' if self.missing else ''}"
            )


def _document(found: Sequence[KnownLetter], unknown: _Unknown, now: int) -> dict[str, Any]:
    run = unknown.run
    return {
        "letters": [_fields(one, now) for one in found],
        "seen_at": None if run is None else iso(run.began_at),
        "known": unknown.known,
        "in_queue": unknown.in_queue,
        "not_in_the_ledger": unknown.missing,
    }
