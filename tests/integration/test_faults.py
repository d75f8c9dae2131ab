"""Nothing is lost: workers are killed, the broker restarts, a message takes its workers down."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from devtools.broker import RunningBroker
from devtools.stack import Stack, event
from devtools.waiting import wait_until

INTEGRATIONS = ("one", "two", "three")
PORTION = 400


@pytest.mark.timeout(240)
async def test_kills_and_broker_restarts_lose_nothing(
    own_broker: RunningBroker, namespace: str, tmp_path: Path
) -> None:
    """2,000 events for 3 integrations; SIGKILL five times and two broker restarts meanwhile."""
    async with Stack(
        own_broker.url, namespace, RETRY_BUDGET_SECONDS=20, LOG_LEVEL="debug"
    ) as stack:
        for name in INTEGRATIONS:
            limits = {"requests_in_flight": 2, "messages_per_request": 5}
            stack.add_integration(name, limits=limits)
            stack.sandbox.state.inject(target="collection", key=name, kind="latency", latency_ms=20)
        published = {name: _Fates() for name in INTEGRATIONS}
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        for step in range(5):
            before = _delivered(stack)
            await stack.publish([_one_event(published, step * PORTION + i) for i in range(PORTION)])
            await wait_until(
                partial(lambda due: _delivered(stack) >= due, before + PORTION / 4),
                f"deliveries before fault {step}",
                60,
            )
            worker.send_signal(signal.SIGKILL)
            await asyncio.to_thread(worker.wait, 10)
            worker = stack.start_worker()
            if step in (1, 3):
                await asyncio.to_thread(own_broker.restart)
        for name, expected in published.items():
            await wait_until(
                partial(
                    lambda of, due: stack.delivered(of) == due,
                    name,
                    set(expected.delivered.values()),
                ),
                f"every deliverable event of {name}",
                90,
            )
        for queue in ("events", "retries", "suspects"):
            await stack.wait_for_depth(queue, 0)
        await _stop(worker)
        seen = await _seen(stack, tmp_path / "letters.jsonl")
        for name, expected in published.items():
            # A killed worker's message may have met its fate twice, never two fates or none.
            assert seen[name].skipped == expected.skipped
            assert seen[name].dead == expected.dead
            assert len(expected.delivered) + len(expected.skipped) + len(expected.dead) > 600
        assert sum(one.count for one in published.values()) == 5 * PORTION


@dataclass
class _Fates:
    """Event ids by fate; for delivered ones also whose identity stands for it."""

    delivered: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        return len(self.delivered) + len(self.skipped) + len(self.dead)


def _one_event(published: dict[str, _Fates], number: int) -> bytes:
    """Every twentieth has no identity and will be dead, every twentieth says nothing."""
    name = INTEGRATIONS[number % 3]
    event_id, user = f"event-{number}", f"u{number}@a.example"
    if number % 20 == 0:
        published[name].dead.add(event_id)
        return json.dumps(event(f"org-{name}", "no-mail", event_id=event_id)).encode()
    if number % 20 == 1:
        published[name].skipped.add(event_id)
        return json.dumps(event(f"org-{name}", user, event_id=event_id, enabled=None)).encode()
    published[name].delivered[event_id] = user
    return json.dumps(event(f"org-{name}", user, event_id=event_id)).encode()


def _delivered(stack: Stack) -> int:
    return sum(len(stack.delivered(name)) for name in INTEGRATIONS)


async def _stop(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 30) == 0


async def _seen(stack: Stack, file: Path) -> dict[str, _Fates]:
    """What the dead-letter queue holds, and what the workers' logs say was skipped."""
    seen = {name: _Fates() for name in INTEGRATIONS}
    code, _, err = await stack.command("dead-letters", "export", str(file))
    assert code == 0, err
    for line in (await asyncio.to_thread(file.read_text)).splitlines():
        letter = json.loads(line)
        assert letter["reason"] == "no-identity"
        seen[letter["integration"]].dead.add(json.loads(letter["body"])["id"])
    for entry in stack.log_entries():
        if entry["event"] == "delivery.skipped" and entry["reason"] == "nothing-mapped":
            seen[entry["integration"]].skipped.add(entry["event_id"])
    return seen


@pytest.mark.timeout(180)
async def test_a_message_that_takes_its_worker_down_ends_as_poison(
    broker_url: str, namespace: str
) -> None:
    """The worker dies whenever Adobe is asked about `killer`; its neighbours are delivered."""
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        stack.add_integration("killer")
        stack.sandbox.state.faults.inject(target="collection", key="killer", kind="hang")
        stack.sandbox.state.faults.inject(
            target="collection", key="shop", kind="latency", latency_ms=300
        )
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        bodies = [json.dumps(event("org-shop", f"u{i}@a.example")).encode() for i in range(20)]
        killer = json.dumps(event("org-killer", "boom@a.example")).encode()
        await stack.publish([*bodies[:10], killer, *bodies[10:]])
        deaths = 0
        while await stack.depth("dead-letters") != 1:
            asked = [one for one in stack.sandbox.state.requests if one["inlet"] == "killer"]
            if len(asked) > deaths:
                deaths += 1
                worker.send_signal(signal.SIGKILL)
                await asyncio.to_thread(worker.wait, 10)
                worker = stack.start_worker()
            assert deaths < 12
            await asyncio.sleep(0.02)
        await wait_until(lambda: len(stack.delivered("shop")) == 20, "the neighbours")
        code, out, _ = await stack.command("dead-letters", "list", "--json")
        assert code == 0
        (letter,) = json.loads(out)
        assert letter["reason"] == "poison"
        assert letter["body_bytes"] == len(killer)


async def test_a_queue_deleted_under_a_live_consumer_is_consumed_again(
    broker_url: str, namespace: str
) -> None:
    import aio_pika  # noqa: PLC0415

    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        stack.start_worker()
        await stack.wait_until_consuming()
        connection = await aio_pika.connect(broker_url)
        async with connection:
            channel = await connection.channel()
            await channel.queue_delete(f"{namespace}.events")
        await wait_until(lambda: stack.log_text().count("broker.connected") == 2, "a new session")
        await stack.publish([json.dumps(event("org-shop", "u@a.example")).encode()])
        await wait_until(lambda: stack.delivered("shop") == {"u@a.example"}, "the event")


_CLOSE_PUBLISHING = """
    [rabbit_networking:close_connection(Pid, "by a test")
     || [{pid, Pid}, {client_properties, Told}]
            <- rabbit_networking:connection_info_all([pid, client_properties]),
        {_, _, Name} <- Told, Name =:= <<"consent-worker publishing">>].
"""


async def test_a_conflict_that_comes_about_while_a_worker_runs_ends_it_and_is_named(
    own_broker: RunningBroker, namespace: str
) -> None:
    """It is seen when the publishing connection, which declares, is opened anew."""
    import aio_pika  # noqa: PLC0415

    async with Stack(own_broker.url, namespace) as stack:
        stack.add_integration("shop")
        worker = stack.start_worker()
        await stack.wait_until_consuming()
        async with await aio_pika.connect(own_broker.url) as connection:
            channel = await connection.channel()
            await channel.queue_delete(f"{namespace}.delay.1s")
            await channel.declare_queue(f"{namespace}.delay.1s", durable=True)
        await asyncio.to_thread(own_broker.ctl, "eval", _CLOSE_PUBLISHING)
        assert await asyncio.to_thread(worker.wait, 60) == 3
        reasons = [one.get("reason", "") for one in stack.log_entries()]
        named = f"queue {namespace}.delay.1s exists with other arguments"
        assert any(named in one for one in reasons)


async def test_a_conflicting_queue_is_named_and_the_exit_code_says_so(
    broker_url: str, namespace: str
) -> None:
    import aio_pika  # noqa: PLC0415

    async with Stack(broker_url, namespace) as stack:
        connection = await aio_pika.connect(broker_url)
        async with connection:
            channel = await connection.channel()
            await channel.declare_queue(f"{namespace}.events", durable=True)
        code, _, err = await stack.command("topology", "declare")
        assert code == 3
        assert f"{namespace}.events exists with other arguments" in err


async def test_the_plugin_asked_for_where_it_is_missing_is_a_clear_error(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, DELAY="plugin") as stack:
        code, _, err = await stack.command("topology", "declare")
        assert code == 3
        assert f"doesn't know the type of exchange {namespace}.delayed" in err
        assert "CONSENT_WORKER_DELAY=native" in err
        assert "delete it" not in err


async def test_a_conflicting_exchange_is_named(broker_url: str, namespace: str) -> None:
    import aio_pika  # noqa: PLC0415

    async with Stack(broker_url, namespace) as stack:
        connection = await aio_pika.connect(broker_url)
        async with connection:
            channel = await connection.channel()
            name = f"{namespace}.retry"
            await channel.declare_exchange(name, aio_pika.ExchangeType.HEADERS, durable=True)
        code, _, err = await stack.command("topology", "declare")
        assert code == 3
        assert f"exchange {name} exists with other arguments" in err
