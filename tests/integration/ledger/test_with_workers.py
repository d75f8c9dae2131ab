"""Real workers write, the ledger reads: each event is found with what became of it."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until
from worker.ledger.packing import OUTCOMES

ANNA = "anna@northwind.example"


def _lives(file: Path) -> Counter[str]:
    """How many lives have which outcome; nothing while there are no tables."""
    if not file.exists():
        return Counter()
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10) as ledger:
        try:
            found = ledger.execute("SELECT outcome, COUNT(*) FROM lives GROUP BY outcome")
            return Counter({OUTCOMES[outcome]: count for outcome, count in found})
        except sqlite3.OperationalError:
            return Counter()


async def _find(stack: Stack, event_id: str) -> tuple[str, list[str]]:
    """The outcome of an event's only life, and what its steps mean."""
    _, out, err = await stack.command("receipts", "find", "--event", event_id, "--json")
    assert ANNA not in out + err
    (story,) = json.loads(out)["events"]
    return story["outcome"], [step["meaning"] for step in story["steps"]]


def _bytes_of(file: Path) -> bytes:
    """Of the file, and of what SQLite keeps beside it."""
    return b"".join(one.read_bytes() for one in file.parent.glob(f"{file.name}*"))


@asynccontextmanager
async def _with_ledger(
    broker_url: str, redis_url: str, namespace: str, file: Path
) -> AsyncIterator[Stack]:
    """A stack with a ledger that reads beside its workers."""
    settings = {"RECEIPTS": "on", "STATE_URL": redis_url, "LEDGER_URL": f"sqlite://{file}"}
    async with Stack(broker_url, namespace, **settings) as stack:
        stack.start_ledger()
        yield stack


@pytest.mark.timeout(240)
async def test_from_a_missing_choice_to_its_reason(
    broker_url: str, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.sqlite"
    async with _with_ledger(broker_url, redis_url, namespace, file) as stack:
        stack.add_integration("shop")
        stack.add_integration("held", paused=True)
        stack.sandbox.state.faults.inject(target="collection", kind="status", times=1)
        stack.start_worker()
        await stack.wait_until_consuming()

        def body(event_id: str, organization: str, user: str = ANNA, **changes: Any) -> bytes:
            said = event(organization, user, event_id=event_id, **changes)
            return json.dumps(said).encode()

        await stack.publish([body("ev-1", "org-shop")])
        await wait_until(lambda: stack.delivered("shop") == {ANNA}, "a retry")
        old = {"created_at": "2026-01-01T00:00:00Z"}
        await stack.publish(
            [
                body("ev-2", "org-shop", " "),
                body("ev-3", "org-shop", **old),
                body("ev-4", "org-held"),
                body("ev-5", "org-none"),
                body("ev-6", "org-shop", "no-address"),
            ]
        )

        expected = {"delivered": 1, "skipped": 3, "parked": 1, "dead": 1}
        await wait_until(lambda: _lives(file) == expected, "all outcomes", 60)
        outcome, steps = await _find(stack, "ev-1")
        assert (outcome, steps[0]) == ("delivered", "Adobe answers 5xx.")
        for event_id, end, why in (
            ("ev-2", "skipped", "The user has no organization_user_id."),
            ("ev-3", "skipped", "Adobe has accepted something newer for each of its attributes."),
            ("ev-4", "parked", "An operator has paused the integration."),
            ("ev-6", "dead", "No configured user_identifier has a usable value."),
        ):
            outcome, steps = await _find(stack, event_id)
            assert (outcome, steps[-1]) == (end, why)
        code, out, err = await stack.command("receipts", "find", "--user", stdin=ANNA.encode())
        assert code == 0, err
        assert {"ev-1", "ev-3", "ev-4", "ev-5"} <= set(out.split())
        assert ANNA not in out
        _, out, _ = await stack.command("status")
        assert "everything adds up" in out
        assert ANNA.encode() not in _bytes_of(file)


@pytest.mark.timeout(180)
async def test_what_is_published_is_what_has_an_outcome_though_workers_are_killed(
    broker_url: str, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.sqlite"
    published = {f"ev-{number:04d}" for number in range(600)}
    async with _with_ledger(broker_url, redis_url, namespace, file) as stack:
        stack.add_integration("shop")
        first = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish(
            [
                json.dumps(
                    event("org-shop", f"u{number}@northwind.example", event_id=event_id)
                ).encode()
                for number, event_id in enumerate(sorted(published))
            ]
        )
        await wait_until(lambda: len(stack.delivered("shop")) > 50, "some deliveries")
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        stack.start_worker()

        def all_ended() -> bool:
            lives = _lives(file)
            return lives["delivered"] + lives["skipped"] == lives.total() == len(published)

        await wait_until(all_ended, "an end of each", 120)
        _, out, _ = await stack.command("receipts", "export", "-", "--integration", "shop")
        rows = [
            json.loads(row["row"])
            for line in out.splitlines()
            for row in json.loads(line).get("rows", ())
            if "row" in row
        ]
        assert {row["event"] for row in rows} == published
        # What Adobe accepted just before the kill has no receipt of that, and the copy's.
        skipped = {row["reason"] for row in rows if row["outcome"] == "skipped"}
        assert skipped <= {"duplicate"}
