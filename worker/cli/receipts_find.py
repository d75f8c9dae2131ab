"""`consent-worker receipts find`: the whole life of an event, or all of a person's."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final, get_args

import typer

from worker.broker.dead_letter import DeadLetter
from worker.cli.command_support import command_settings, complain, print_json, say
from worker.cli.json_output import JsonOption
from worker.cli.ledger_access import (
    opened_ledger,
    shown_at,
    shown_span,
    time_in,
)
from worker.cli.person_ids import person_id
from worker.cli.terminal import shown
from worker.evidence.letter_cause import fingerprint_of_receipt
from worker.evidence.receipt import OutcomeName, Receipt
from worker.known_month_keys import NO_KEYS, known_month_keys
from worker.ledger.packing import users_of
from worker.ledger.receipt_sentences import BLANKED, sentence, to_do
from worker.ledger.stored_receipts import StoredReceipt
from worker.ledger.stories import (
    MOST_LIVES,
    Found,
    Story,
    Wanted,
    find_event,
    find_integration,
    find_users,
)
from worker.ledger.unknown_spans import UnknownSpans, unknown_spans
from worker.moments import now_ms
from worker.remedies import meaning_of, remedy_for
from worker.settings import WorkerSettings

_OUTCOMES: Final[tuple[OutcomeName, ...]] = get_args(OutcomeName)


def find(
    event: Annotated[
        str,
        typer.Option("--event", help="Id of the event, as receipts call it: Didomi's, or body:…"),
    ] = "",
    user: Annotated[
        bool,
        typer.Option("--user", help="A person's; the organization_user_id is asked for, or stdin."),
    ] = False,
    integration: Annotated[str, typer.Option(help="Only at this integration.")] = "",
    since: Annotated[str, typer.Option(help="Only of after then: 2h, 7d or a time.")] = "",
    until: Annotated[str, typer.Option(help="Only of before then.")] = "",
    outcome: Annotated[str, typer.Option(help="Only with this outcome.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Tell what became of an event, of a person's choices or of an integration's, step by step."""
    if (event and user) or not (event or user or integration):
        raise typer.BadParameter("one of --event ID, --user and --integration ID is needed")
    settings = command_settings()
    now = now_ms()
    wanted = Wanted(
        integration or None,
        time_in(since, "--since", now),
        time_in(until, "--until", now),
        _outcome(outcome),
    )
    with opened_ledger(settings) as database:
        users = asyncio.run(_users(settings, person_id())) if user else []
        with database.transaction() as connection:
            if user:
                found = find_users(connection, users, wanted)
            elif event:
                found = find_event(connection, event, wanted)
            else:
                found = find_integration(connection, wanted)
            spans = unknown_spans(connection, now)
    if as_json:
        print_json(_document(found, spans, now))
    else:
        _tell(found, spans, now)
    if not found.stories:
        raise typer.Exit(1)


def _outcome(text: str) -> OutcomeName | None:
    for one in _OUTCOMES:
        if one == text:
            return one
    if not text:
        return None
    near = difflib.get_close_matches(text, _OUTCOMES, n=1)
    meant = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(_OUTCOMES)}"
    raise typer.BadParameter(f"{shown(text)} is no outcome; {meant}")


async def _users(settings: WorkerSettings, person: str) -> list[bytes]:
    """The hash of a person in each month whose key is kept."""
    keys = await known_month_keys(settings)
    if not keys:
        complain(f"consent-worker: {NO_KEYS}")
    return users_of(person, keys)


def _tell(found: Found, spans: UnknownSpans, now: int) -> None:
    for story in found.stories:
        where = f"integration {shown(story.integration)}" if story.integration else "no integration"
        say(f"event {_event(story)} at {where}: {_end(story, now)}")
        for number, step in enumerate(story.steps):
            is_last = number == len(story.steps) - 1
            say(f"  {shown_at(step.receipt.at, now)}  {_step(step.receipt, now)}")
            if step.is_blanked:
                say(f"      {BLANKED}")
            else:
                say(f"      {sentence(step.receipt)}")
            if (do := to_do(step.receipt, is_last=is_last)) and not step.is_blanked:
                say(f"      What to do: {do}")
        if story.letter is not None:
            _tell_letter(story, story.letter, now)
    if found.more:
        complain(_more(found))
    elif not found.stories:
        say("no receipt of it is in the ledger")
    if not found.stories:
        for one in spans.sentences(lambda at: shown_at(at, now)):
            say(f"- {one}")


def _more(found: Found) -> str:
    less = "ask for less by --since and --until"
    if len(found.stories) >= MOST_LIVES:
        return f"there are more than {MOST_LIVES}; {less}"
    told = "these are not all" if found.stories else "none was found among the latest receipts"
    return f"{told}: older receipts were not looked at; {less}"


def _event(story: Story) -> str:
    return shown(story.event) or ("(blanked)" if story.steps else "(without a receipt)")


def _tell_letter(story: Story, letter: DeadLetter, now: int) -> None:
    """The letter in the queue, which is all that is known where RabbitMQ itself has made it."""
    at, reason = shown_at(letter.dead_at_ms, now), shown(letter.reason)
    say(f"  {at}  dead letter {shown(letter.id)}  {reason}")
    if not story.steps or story.steps[-1].receipt.outcome != "dead":
        say("      No receipt tells of it: RabbitMQ has made it, or receipts were off or away.")
        say(
            f"      {meaning_of(letter.reason, letter.error) or 'A reason that is not known here.'}"
        )
        remedy = remedy_for(letter.reason, letter.error)
        say(f"      What to do: {remedy or 'Upgrade, and look again.'}")


def _end(story: Story, now: int) -> str:
    if story.is_waiting:
        if story.due_at is None:
            return f"{story.outcome}; what came then was lost with records of the stream"
        return f"{story.outcome}, waits until {shown_at(story.due_at, now)}"
    return story.outcome


def _step(receipt: Receipt, now: int) -> str:
    parts = [receipt.outcome, shown(receipt.reason), *_cause(receipt)]
    if receipt.attempt:
        parts.append(f"attempt {receipt.attempt}")
    if receipt.delivery:
        parts.append(f"replay {receipt.delivery}")
    if receipt.status is not None:
        parts.append(f"HTTP {receipt.status}")
    if receipt.xaction is not None:
        parts.append(f"xactionId {shown(receipt.xaction)}")
    if receipt.due_at is not None:
        parts.append(f"due {shown_at(receipt.due_at, now)}")
    if receipt.event_at is not None and receipt.outcome == "delivered":
        parts.append(f"{shown_span(max(0, receipt.at - receipt.event_at))} after the choice")
    said = [f"{shown(path)} {_VALUES[value]}" for path, value in receipt.attributes.items()]
    return "  ".join(filter(None, (*parts, ", ".join(said))))


def _cause(receipt: Receipt) -> Iterator[str]:
    if receipt.error not in (None, receipt.reason):
        yield f"error {shown(receipt.error)}"
    if receipt.code is not None:
        yield f"Adobe's code {shown(receipt.code)}"
    if receipt.field is not None:
        yield f"field {shown(receipt.field)}"
    if receipt.outcome == "dead":
        yield f"group {fingerprint_of_receipt(receipt).group}"


_VALUES: Final = {True: "true", False: "false", None: "(no boolean)"}


def _document(found: Found, spans: UnknownSpans, now: int) -> dict[str, Any]:
    return {
        "at": now,
        "events": [_story(one) for one in found.stories],
        "more": found.more,
        "unknown": list(spans.sentences(str)) if not found.stories else [],
    }


def _story(story: Story) -> dict[str, Any]:
    return {
        "event": story.event,
        "integration": story.integration,
        "outcome": story.outcome,
        "at": story.at,
        "due_at": story.due_at,
        "steps": _steps(story.steps),
        "letter": None if story.letter is None else asdict(story.letter),
    }


def _steps(steps: Sequence[StoredReceipt]) -> list[dict[str, Any]]:
    return [
        one.receipt._asdict()
        | {
            "blanked": one.is_blanked,
            "meaning": BLANKED if one.is_blanked else sentence(one.receipt),
            "to_do": to_do(one.receipt, is_last=one is steps[-1]),
        }
        for one in steps
    ]
