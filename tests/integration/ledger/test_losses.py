"""What a worker acknowledges without a word is named, and all that it does otherwise adds up."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.proxy import TcpProxy, through
from devtools.stack import Stack, event
from devtools.waiting import wait_until
from tests.integration.receipts import bodies_in, metric, receipts_in
from worker.evidence.heading import Message, read_message

LOSING = "tests.integration.ledger.losing_worker"
WHY = "taken, and neither settled with a receipt nor in hand nor returned"


@pytest.fixture
async def stack(broker_url: str, redis_url: str, namespace: str) -> AsyncIterator[Stack]:
    async with Stack(broker_url, namespace, RECEIPTS="on", STATE_URL=redis_url) as running:
        running.override("LEDGER_URL", f"sqlite://{running.path}/ledger.sqlite")
        running.add_integration("shop")
        running.add_integration("second", organization_id="org-shop")
        yield running


def _bodies(name: str, count: int, organization: str = "org-shop", **changes: Any) -> list[bytes]:
    return [
        json.dumps(
            event(organization, f"{name}-{at}@a.example", event_id=f"{name}-{at}", **changes)
        ).encode()
        for at in range(count)
    ]


async def _states(stack: Stack) -> list[tuple[Message, dict[str, Any]]]:
    found = map(read_message, await bodies_in(stack))
    return [(one, json.loads(one.rows[0])) for one in found if one.heading.kind == "state"]


async def _wait_for_state(stack: Stack, fits: Callable[[dict[str, Any]], bool], what: str) -> None:
    async def there() -> bool:
        return any(fits(state) for _, state in (await _states(stack))[-1:])

    await wait_until(there, what, 60)


async def _status(stack: Stack) -> dict[str, Any]:
    """What `status --json` says once the ledger has read all that there is."""
    code, out, err = await stack.command("ledger", "--once")
    assert code == 0, out + err
    _, out, err = await stack.command("status", "--json")
    assert out, err
    document: dict[str, Any] = json.loads(out)
    return document


async def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 40) == 0


async def _have_receipts(stack: Stack, wanted: set[tuple[str, str]], what: str) -> None:
    """Wait for a final receipt of each event for each integration."""

    async def there() -> bool:
        final = {"delivered", "skipped", "dead"}
        found = await receipts_in(stack)
        return wanted <= {(one.event, one.integration) for one in found if one.outcome in final}

    await wait_until(there, what, 120)


async def test_events_acknowledged_without_an_outcome_are_named(stack: Stack) -> None:
    worker = stack.start_worker(module=LOSING)
    await stack.wait_until_consuming()
    await stack.publish(_bodies("ev", 40))

    async def receipted() -> bool:
        return await metric(stack, "consent_receipts_total") == 80

    await wait_until(receipted, "receipts of two integrations")
    assert {one.status for one in await receipts_in(stack)} <= {200, 207}
    await _wait_for_state(stack, lambda one: one["settled"] == 40, "a state")
    assert (await _status(stack))["conservation"]["adds_up"]

    await stack.publish(_bodies("lost-whole", 2) + _bodies("lost-part", 1))
    await _wait_for_state(stack, lambda one: one["settled"] == 43, "a state after the loss")
    since = next(
        message.heading.at
        for message, one in await _states(stack)
        if one["settled"] > one["receipted"]
    )
    document = await _status(stack)
    (told,) = document["workers"]
    assert (told["taken"], told["settled"], told["receipted"]) == (43, 43, 40)
    said = document["conservation"]
    assert not said["adds_up"]
    assert said["missing"] == [
        {"events": 3, "where": told["worker"], "since": since, "why": WHY},
    ]
    code, out, _ = await stack.command("status")
    assert code == 1
    assert f"MISSING: 3 events of {told['worker']}, since " in out

    # Of the moment before a clean end, too.
    await stack.publish(_bodies("lost-whole", 1))
    await stack.wait_for_depth("events", 0)
    await _end(worker)
    (missing,) = (await _status(stack))["conservation"]["missing"]
    assert (missing["events"], missing["since"]) == (4, since)


@pytest.mark.timeout(300)
async def test_nothing_is_named_where_nothing_is_lost(stack: Stack) -> None:
    """Retries, bundles, fan-out, suspects, repeats of the same event, lost sessions and kills."""
    address = urlsplit(stack.amqp_url)
    faults = stack.sandbox.state.faults
    async with TcpProxy(address.hostname or "", address.port or 0) as line:
        stack.override("AMQP_URL", through(stack.amqp_url, line.port))
        stack.override("LOG_LEVEL", "debug")
        stack.add_integration("held", paused=True)
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        await stack.publish(_bodies("held", 30, "org-held") + _bodies("ev", 100))
        guest = json.dumps(event("org-shop", " ", event_id="guest")).encode()
        await stack.publish([*_bodies("none", 3, "org-none"), guest, b"no json"])
        await _have_receipts(stack, _of_both("ev", 100), "an outcome of each")

        # Each kill is one return more of what was in hand, and the second makes suspects of it.
        faults.inject(target="collection", kind="hang")
        await stack.publish(_bodies("late", 20))
        for _ in range(2):
            await wait_until(partial(_holds, stack, 20), "events in hand")
            worker.kill()
            worker.wait()
            started = stack.log_text().count("broker.connected")
            worker = stack.start_worker()
            await wait_until(partial(_has_connected_after, stack, started), "the next worker", 60)
        faults.clear()
        faults.inject(target="collection", kind="status", status=503)
        await stack.publish(_bodies("ev", 150))
        await wait_until(partial(_has_retried, stack), "a retry", 60)
        line.cut()
        await wait_until(stack.is_unready, "a lost session", 60)
        line.restore()
        faults.clear()
        await wait_until(stack.is_ready, "a session", 60)
        await wait_until(lambda: "bundle.parked" in stack.log_text(), "a bundle parked again", 60)
        stack.add_integration("held")
        wanted = _of_both("ev", 150) | _of_both("late", 20)
        wanted |= {(f"held-{at}", "held") for at in range(30)}
        await _have_receipts(stack, wanted, "an outcome of each")
        await _end(worker)
        assert "message.set_apart" in stack.log_text()
        states = [one for _, one in await _states(stack)]
        assert [one for one in states if one["settled"] > one["receipted"]] == []
        last = states[-1]
        assert last["settled"] == last["receipted"] > 0
        assert (last["in_hand"], last["taken"]) == (0, last["settled"] + last["returned"])
        assert last["returned"] > 0
        said = (await _status(stack))["conservation"]
        assert said["missing"] == []


def _of_both(name: str, count: int) -> set[tuple[str, str]]:
    return {(f"{name}-{at}", one) for at in range(count) for one in ("shop", "second")}


async def _holds(stack: Stack, events: int) -> bool:
    return await metric(stack, "consent_messages_in_flight") >= events


def _has_connected_after(stack: Stack, before: int) -> bool:
    return stack.log_text().count("broker.connected") > before


async def _has_retried(stack: Stack) -> bool:
    return any(
        (one.outcome, one.reason) == ("retried", "adobe-unavailable")
        for one in await receipts_in(stack)
    )
