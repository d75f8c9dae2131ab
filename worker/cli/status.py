"""`consent-worker status`: how the fleet does, by what its workers have written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any, Final

import typer

from worker.cli.command_support import command_settings, print_json, say
from worker.cli.json_output import JsonOption
from worker.cli.ledger_access import opened_ledger, shown_at, shown_span
from worker.cli.terminal import in_column, shown
from worker.counting import counted, verb
from worker.ledger.conservation import Conservation, Tally
from worker.ledger.database import Database
from worker.ledger.known_letters import LetterPass
from worker.ledger.letter_group_list import LetterGroup
from worker.ledger.overview import WAITING_NAMES, Overview, overview
from worker.ledger.worker_state import WorkerState
from worker.moments import now_ms
from worker.reasons import NO_INTEGRATION

_WATCH_SECONDS: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"
_MOST_SHOWN: Final = 20


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every 2 s.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show workers, delays, what waits, what fails, and whether everything adds up."""
    with opened_ledger(command_settings()) as database:
        told = _show(database, watch, as_json)
        with suppress(KeyboardInterrupt):
            while watch:
                sys.stdout.flush()
                time.sleep(_WATCH_SECONDS)
                told = _show(database, watch, as_json)
    if not told.conservation.adds_up or not told.runs or not told.live:
        raise typer.Exit(1)


def _show(database: Database, watch: bool, as_json: bool) -> Overview:
    with database.transaction() as connection:
        told = overview(connection, now_ms())
    if as_json:
        print_json(_document(told))
    else:
        clear = _CLEAR if watch and sys.stdout.isatty() else ""
        say(clear + "\n".join(_lines(told)))
    return told


def _lines(told: Overview) -> Iterator[str]:
    now = told.now
    yield from _about_reading(told)
    yield f"workers: {len(told.live)} live"
    for one in told.workers:
        yield f"  {in_column(one.worker)}  {_worker(one, now)}"
    for one in told.doors:
        yield f"  door {in_column(one.worker)}  {_door(one, now)}"
    yield f"oldest event in hand: {shown_at(told.oldest_event_at, now)}"
    yield f"oldest withdrawal in hand: {shown_at(told.oldest_withdrawal_at, now)}"
    waiting = zip(WAITING_NAMES, told.waiting, strict=True)
    yield "waiting: " + ", ".join(f"{count} {name}" for name, count in waiting)
    for failing in told.failing[:_MOST_SHOWN]:
        lane = failing.lane
        since = f" since {shown_at(lane.since, now)}" if lane.since is not None else ""
        words = f": {shown(lane.words)}" if lane.words else ""
        yield (
            f"  integration {in_column(lane.integration)} is {shown(lane.state)} at "
            f"{in_column(failing.worker)}{since}, {counted(lane.held, 'event')} in hand  "
            f"{shown(lane.error)}{words}"
        )
    for integration, count in list(told.untold.items())[:_MOST_SHOWN] if told.live else ():
        yield (
            f"  integration {in_column(integration)}: {counted(count, 'event')} "
            f"{verb(count, 'waits', 'wait')}, and no live worker tells of it: is its file there?"
        )
    for group in told.groups:
        yield f"  {_group(group, now)}"
    yield from _about_letters(told.letters, now)
    yield from _about_conservation(told.conservation, now)
    for finding in told.findings[:_MOST_SHOWN]:
        of = f" of {in_column(finding.worker)}" if finding.worker else ""
        yield (
            f"finding: {finding.messages} {finding.kind}{of}, last "
            f"{shown_at(finding.last_at, now)}: {finding.sentence}"
        )


def _about_reading(told: Overview) -> Iterator[str]:
    progress = told.progress
    if progress is None or not progress.written_at:
        yield "the ledger has read nothing yet"
        return
    yield f"the ledger has read what was written up to {shown_at(progress.written_at, told.now)}"
    if not told.runs:
        yield (
            f"no ledger runs since {shown_at(progress.alive_at, told.now)}, so all of this is as "
            "it was then: start `consent-worker ledger`"
        )


def _worker(one: Tally, now: int) -> str:
    state = one.state
    if state is None:
        return f"last heard of {shown_at(one.last_at, now)}"
    return (
        f"{_life(one, state, now)}  taken {state.taken}, settled {state.settled}, "
        f"in hand {state.in_hand}, returned {state.returned}"
    )


def _door(one: Tally, now: int) -> str:
    state = one.state
    return "" if state is None else f"{_life(one, state, now)}  received {state.received}"


def _life(one: Tally, state: WorkerState, now: int) -> str:
    if one.has_ended:
        life = f"ended {shown_at(one.last_at, now)}"
    elif one.is_live(now):
        life = f"up for {shown_span(max(0, now - state.started_at))}"
    else:
        life = f"ended without end, last heard of {shown_at(one.last_at, now)}"
    return f"version {shown(state.version)}  {life}"


def _group(group: LetterGroup, now: int) -> str:
    mark = group.fingerprint
    causes = (
        ("", mark.error if mark.error != mark.reason else None),
        ("HTTP ", mark.http_status),
        ("Adobe's code ", mark.adobe_code),
        ("field ", mark.field),
        ("configuration ", mark.config),
    )
    told = [f"{name}{in_column(str(part))}" for name, part in causes if part is not None]
    return (
        f"group {mark.group}: {counted(group.letters, 'event')} of integration "
        f"{in_column(mark.integration or NO_INTEGRATION)} ended as dead letters: "
        f"{', '.join([in_column(mark.reason), *told])}, last {shown_at(group.until, now)}"
    )


def _about_letters(letters: LetterPass | None, now: int) -> Iterator[str]:
    if letters is None:
        return
    yield (
        f"dead letters in the queue {shown_at(letters.began_at, now)}: {letters.letters}, of which "
        f"{letters.unknown} had no receipt"
    )
    if letters.left_out:
        yield f"  {letters.left_out} more are not in the ledger: it takes no more of them"


def _about_conservation(said: Conservation, now: int) -> Iterator[str]:
    taken, total = said.taken, said.total
    if said.received:
        yield f"received by doors: {said.received}, no outcome yet of {said.awaited.events}"
    yield (
        f"taken {taken.taken} = settled {taken.settled} + in hand {taken.in_hand} + "
        f"returned {taken.returned}"
    )
    yield (
        f"outcomes of {total.begun}: delivered {total.delivered}, skipped {total.skipped}, "
        f"dead {total.dead}, waiting {total.waiting}"
    )
    for integration, count in said.unreceipted.items():
        yield f"  {count} of integration {in_column(integration or '-')} without a receipt"
    if said.adds_up:
        yield "everything adds up"
    for one in said.missing:
        yield (
            f"MISSING: {counted(one.events, 'event')} of {shown(one.where)}, since "
            f"{shown_at(one.since, now)}: {one.why}"
        )
    for lost in said.awaited.overtaken:
        ids = ", ".join(map(in_column, lost.first_ones))
        yield f"  the first ones of organization {in_column(lost.organization or '-')}: {ids}"


def _document(told: Overview) -> dict[str, Any]:
    said = told.conservation
    return {
        "at": told.now,
        "ledger": None
        if told.progress is None
        else {
            "read_to": told.progress.written_at,
            "read_at": told.progress.read_at,
            "alive_at": told.progress.alive_at,
            "runs": told.runs,
            "next_offset": told.progress.next_offset,
        },
        "workers": [_worker_document(one, told.now) for one in told.workers],
        "doors": [_worker_document(one, told.now) for one in told.doors],
        "oldest_event_at": told.oldest_event_at,
        "oldest_withdrawal_at": told.oldest_withdrawal_at,
        "waiting": dict(zip(WAITING_NAMES, told.waiting, strict=True)),
        "untold": dict(told.untold),
        "failing": [{"worker": one.worker} | one.lane._asdict() for one in told.failing],
        "dead_letter_groups": [
            {"group": one.fingerprint.group} | one.fingerprint._asdict() | _counts(one)
            for one in told.groups
        ],
        "dead_letters": None if told.letters is None else told.letters._asdict(),
        "conservation": {
            "adds_up": said.adds_up,
            "received": said.received,
            "awaited": {
                "events": said.awaited.events,
                "overtaken": [one._asdict() for one in said.awaited.overtaken],
            },
            "taken": said.taken._asdict(),
            "total": said.total._asdict(),
            "integrations": {name: one._asdict() for name, one in said.shares.items()},
            "unreceipted": dict(said.unreceipted),
            "missing": [one._asdict() for one in said.missing],
        },
        "findings": [one._asdict() | {"meaning": one.sentence} for one in told.findings],
    }


def _counts(group: LetterGroup) -> dict[str, int]:
    return {"letters": group.letters, "since": group.since, "until": group.until}


def _worker_document(one: Tally, now: int) -> dict[str, Any]:
    state = one.state
    told: dict[str, Any] = {
        "worker": one.worker,
        "chain": one.chain,
        "last_at": one.last_at,
        "is_live": one.is_live(now),
        "has_ended": one.has_ended,
        "receipts": one.receipts,
    }
    if state is not None:
        told |= {"version": state.version, "started_at": state.started_at, "taken": state.taken}
        told |= {"settled": state.settled, "in_hand": state.in_hand, "returned": state.returned}
        told |= {"receipted": state.receipted, "received": state.received}
    return told
