"""`make demo`: the main job end to end, on a real RabbitMQ and the emulator of Adobe."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from devtools.broker import running_broker
from devtools.interrupt import to_its_end
from devtools.native_rabbitmq import BrokerUnavailable
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.ledger.conservation import Shares
from worker.ledger.database import Database
from worker.ledger.overview import overview
from worker.ledger.trouble import LedgerTrouble, UnusableLedger

BUDGET = 10
FINAL = ("delivered", "skipped", "dead")
SHOWN_IDS = 4
console = Console(highlight=False)

Outcome = tuple[str, str, str]
"""Integration, outcome, reason."""


def _said(stack: Stack) -> list[dict[str, Any]]:
    """What the worker has logged of outcomes so far."""
    return [one for one in stack.log_entries() if one["event"].startswith("delivery.")]


def _outcome(entry: dict[str, Any]) -> Outcome:
    return entry["integration"], entry["event"].removeprefix("delivery."), entry.get("reason", "")


def _outcomes(stack: Stack) -> Counter[Outcome]:
    return Counter(_outcome(one) for one in _said(stack))


def _settled(stack: Stack) -> int:
    """How often an event has met a fate that is final."""
    return sum(count for (_, outcome, _), count in _outcomes(stack).items() if outcome in FINAL)


_CALLED: dict[str, str] = {}
"""What the story calls an event, by its id: a worker shows only ids that tell of nobody."""


def told(integration: str, outcome: str, ids: Sequence[str], why: str) -> str:
    """The line for events that have met the same fate."""
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    which = ", ".join(ids[:SHOWN_IDS]) + more
    return f"   {integration:7} {outcome:10} {which}{': ' if why else ''}{why}"


class _Narrator:
    """Tells outcomes as they come."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._told = 0

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self.catch_up()
            await asyncio.sleep(0.3)

    def catch_up(self) -> None:
        """A line for each sort of outcome since the last time, with the ids of its events."""
        entries = _said(self._stack)[self._told :]
        self._told += len(entries)
        ids: dict[tuple[Outcome, str], list[str]] = {}
        for entry in entries:
            after = f"again in {entry['delay_seconds']:.1f} s" if "delay_seconds" in entry else ""
            event_id = entry["event_id"]
            name = _CALLED.get(event_id, event_id) or "(no id)"
            ids.setdefault((_outcome(entry), after), []).append(name)
        for ((integration, outcome, reason), after), named in ids.items():
            why = f"{reason}, {after}" if after else reason
            line = told(integration, outcome, named, why)
            console.print(line, soft_wrap=True, markup=False)


class Question(NamedTuple):
    """A command, and the person whose id it reads from its standard input, if any."""

    words: Sequence[str]
    person: str = ""


QUESTIONS: Final = (
    Question(("receipts", "find", "--event", "ev-0013")),  # no-answer
    Question(("receipts", "find", "--event", "ev-0018")),  # patient
    Question(("receipts", "find", "--event", "ev-0002")),  # choice-1
    Question(("status",)),
)
"""What an operator asks at the end: of a skipped event, of one that was retried, of a delivered
one, and of all."""


async def _run(stack: Stack, *arguments: str, person: str = "") -> None:
    """A command as an operator gives it, with what it says."""
    asked = f"   ({person} on its standard input)" if person else ""
    console.print(f"   [bold]$ consent-worker {' '.join(arguments)}[/]{asked}", soft_wrap=True)
    _, out, err = await stack.command(*arguments, stdin=person.encode())
    for line in (out + err).splitlines():
        console.print(f"   {line}", soft_wrap=True, markup=False)


async def show(broker_url: str, questions: Sequence[Question] = QUESTIONS) -> None:
    """All of it; at the end these are asked."""
    _CALLED.clear()
    settings = {"RETRY_BUDGET_SECONDS": BUDGET, "LOG_LEVEL": "debug", "RECEIPTS": "on"}
    async with Stack(broker_url, "demo", **settings) as stack:
        stack.override("STATE_URL", f"sqlite://{stack.path}/state.sqlite")
        stack.override("LEDGER_URL", f"sqlite://{stack.path}/ledger.sqlite")
        for customer in ("shop", "bank"):
            stack.add_integration(customer)
        stack.add_integration("press", upsert_mode=False)
        stack.add_integration("travel", paused=True)
        console.print("Starting the emulator of Adobe, a worker and a ledger")
        stack.start_worker()
        stack.start_ledger()
        await stack.wait_until_consuming()
        narrator = _Narrator(stack)
        telling = asyncio.create_task(narrator.run())
        try:
            published = await _play(stack, narrator)
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
        waiting = await _on_record(stack, published)
        for question in questions:
            await _run(stack, *question.words, person=question.person)
        _summarise(stack, published, await stack.depth("dead-letters"), waiting)


async def _play(stack: Stack, narrator: _Narrator) -> int:
    """The scenes of the demo; how many events they published."""

    async def fates(count: int) -> None:
        await wait_until(lambda: _settled(stack) == count, f"{count} outcomes", BUDGET * 3)
        narrator.catch_up()

    console.print(
        "\n[bold]1. Events of two customers are published: choices, and all that can be odd[/]"
    )
    bodies = [
        _choice(f"choice-{i}", f"person-{i}@shop.example", enabled=i % 3 > 0) for i in range(12)
    ]
    bodies += [
        _choice("no-answer", "silent@shop.example", enabled=None),
        _choice("unconfirmed", "waiting@shop.example", status="pending_approval"),
        _choice("not-an-email", "crm-4711"),
        _choice("no-such-profile", "stranger@press.example", organization="org-press"),
        _choice("no-such-customer", "somebody@example.com", organization="org-unknown"),
        b"not json",
    ]
    await stack.publish(bodies)
    await fates(len(bodies))

    console.print(
        f"\n[bold]2. Adobe is away for 3 s[/] (the retry budget is {BUDGET} s here, not 300 s)"
    )
    faults = stack.sandbox.state.faults
    faults.inject(target="collection", key="shop", kind="status", status=503, seconds=3)
    await stack.publish([_choice("patient", "patient@shop.example")])
    await fates(len(bodies) + 1)

    console.print("\n[bold]3. Adobe stays away for longer than the budget[/]")
    faults.inject(target="collection", key="shop", kind="status", status=503)
    before = await stack.depth("dead-letters")
    await stack.publish([_choice("late", "late@shop.example")])
    await fates(len(bodies) + 2)
    await stack.wait_for_depth("dead-letters", before + 1)
    await _run(stack, "dead-letters", "list")

    console.print("\n[bold]4. Adobe is back; an operator replays[/]")
    faults.clear()
    await _run(stack, "dead-letters", "replay", "--reason", "retries-exhausted")
    await fates(len(bodies) + 3)

    console.print(
        "\n[bold]5. Some choices are not at Adobe[/]: an older one comes late, one customer is "
        "paused, the secret of another is wrong"
    )
    faults.inject(target="token", key="client-bank", kind="refuse-token")
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    await stack.publish(
        [
            _choice("an-hour-ago", "person-1@shop.example", created_at=hour_ago),
            _choice("while-paused", "someone@travel.example", organization="org-travel"),
            _choice("wrong-secret", "someone@bank.example", organization="org-bank"),
        ]
    )
    await fates(len(bodies) + 4)
    held = {("travel", "parked", "paused"), ("bank", "parked", "blocked")}
    await wait_until(lambda: held <= set(_outcomes(stack)), "what is parked", BUDGET)
    narrator.catch_up()
    return len(bodies) + 5


async def _on_record(stack: Stack, published: int) -> int:
    """Wait until the ledger has all that was published, and the replay; how many of these wait."""
    console.print(
        "\n[bold]6. Why is a choice missing? An operator asks the ledger[/], which has a receipt "
        "of every outcome"
    )
    last = Shares()

    def is_read() -> bool:
        nonlocal last
        last = _shares(stack)
        ended = last.delivered + last.skipped + last.dead
        return last.begun == published + 1 and ended == _settled(stack)

    await wait_until(is_read, "all receipts in the ledger", BUDGET)
    return last.waiting


def _shares(stack: Stack) -> Shares:
    """What became of all events, by the ledger's file."""
    try:
        ledger = Database(f"sqlite://{stack.path}/ledger.sqlite")
        with closing(ledger), ledger.transaction() as connection:
            return overview(connection, int(time.time() * 1000)).conservation.total
    except (UnusableLedger, LedgerTrouble):
        return Shares()  # it is just being made


def _choice(called: str, user: str, *, organization: str = "org-shop", **changes: Any) -> bytes:
    event_id = f"ev-{len(_CALLED) + 1:04}"
    _CALLED[event_id] = called
    return json.dumps(event(organization, user, event_id=event_id, **changes)).encode()


def _summarise(stack: Stack, published: int, left: int, waiting: int) -> None:
    table = Table("integration", "outcome", "reason", "count", title="\nOutcomes")
    totals: Counter[str] = Counter()
    for (integration, outcome, reason), count in sorted(_outcomes(stack).items()):
        table.add_row(integration, outcome, reason, str(count))
        totals[outcome] += count
    console.print(table)
    profiles = Table("identity", "record at Adobe", title="\nFinal profiles at Adobe")
    for profile in stack.sandbox.state.profiles.values():
        profiles.add_row(profile.identity, json.dumps(profile.record.get("_acme")))
    console.print(profiles)
    console.print(
        f"[bold]{published} published = {totals['delivered']} delivered + "
        f"{totals['skipped']} skipped + {left} dead letters left + {waiting} that wait[/]"
    )


def main() -> int:
    """0 when everything was shown; 1 with a sentence when something is missing; 130 and 143 for
    Ctrl-C and SIGTERM.
    """
    return to_its_end(_demonstrate, console.print)


def _demonstrate() -> int:
    console.print("Starting a private RabbitMQ; this takes a few seconds")
    try:
        with running_broker() as broker:
            console.print(f"RabbitMQ ({broker.kind}) is up")
            asyncio.run(show(broker.url))
            console.print("Stopping everything and cleaning up")
            console.print("To see such a fleet in a browser: [bold]make console[/]")
    except (BrokerUnavailable, AssertionError) as error:
        console.print(f"[red]demo failed:[/] {error}", soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
