"""Redis loses its data, as an operator sees it: noticed, told, mended, accepted."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aio_pika
import aiohttp
import pytest
from redis.asyncio import Redis

from devtools.redis_server import RunningRedis, running_redis
from devtools.stack import Stack, event
from devtools.waiting import wait_until

LENA, EMIL = "lena@northwind.example", "emil@northwind.example"
LOST = "the state has lost its data"
GAUGE = "consent_ordering_state_lost"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRedis]:
    """A Redis of its own, since it is emptied."""
    with running_redis() as started:
        yield started


@pytest.fixture
async def operator(server: RunningRedis) -> AsyncIterator[Redis]:
    """Empties it before each test, too."""
    client = Redis.from_url(server.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def stack(
    broker_url: str, namespace: str, server: RunningRedis, operator: Redis
) -> AsyncIterator[Stack]:
    settings = {"STATE_URL": server.url, "RETRY_BUDGET_SECONDS": 480, "WATCH_SECONDS": 0.5}
    async with Stack(broker_url, namespace, **settings) as running:
        running.add_integration("shop")
        yield running


def _body(user: str, event_id: str, minute: int, *, enabled: bool = True) -> bytes:
    made = f"2026-03-02T08:{minute:02}:00Z"
    document = event("org-shop", user, event_id=event_id, enabled=enabled, created_at=made)
    return json.dumps(document).encode()


def _told(stack: Stack, event_name: str) -> int:
    return [one["event"] for one in stack.log_entries()].count(event_name)


async def _start(stack: Stack) -> None:
    before = _told(stack, "broker.connected")
    stack.start_worker()
    await wait_until(lambda: _told(stack, "broker.connected") > before, "a worker", 60)


async def _stop(stack: Stack) -> None:
    worker = stack.workers[-1]
    worker.send_signal(signal.SIGTERM)
    await asyncio.to_thread(worker.wait, 60)


async def _get(port: int, path: str) -> str:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        assert answer.status == 200, "nothing is stopped for a loss"
        return await answer.text()


async def _alarms(stack: Stack) -> list[tuple[float, bool]]:
    """The gauge of each worker that runs, and whether it has a note."""
    started = [one for one in stack.log_entries() if one["event"] == "worker.started"]
    alarms = []
    for one in started:
        lines = (await _get(one["http_port"], "/metrics")).splitlines()
        (value,) = [line.split()[1] for line in lines if line.startswith(f"{GAUGE} ")]
        notes = json.loads(await _get(one["http_port"], "/readyz"))["notes"]
        alarms.append((float(value), any(note.startswith(LOST) for note in notes)))
    return alarms


def _alarms_are(stack: Stack, alarm: tuple[float, bool], workers: int) -> Callable[[], Any]:
    async def are() -> bool:
        return await _alarms(stack) == [alarm] * workers

    return are


def _news(stack: Stack, user: str) -> Any:
    """What Adobe has of the user's choice."""
    profile = stack.sandbox.state.find(user)
    return profile and profile.record["_acme"]["newsletter"]


async def _letters(stack: Stack) -> list[tuple[str | None, Any]]:
    """The id and the epoch of each dead letter, which stays there."""
    found = []
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{stack.namespace}.dead-letters", ensure=False)
        while (message := await queue.get(fail=False)) is not None:
            found.append((message.message_id, message.headers.get("consent-epoch")))
    return found


@pytest.mark.timeout(300)
async def test_a_loss_while_two_workers_run_is_told_by_both_until_it_is_accepted(
    stack: Stack, operator: Redis
) -> None:
    await _start(stack)
    await _start(stack)
    await stack.publish([_body(LENA, "e1", 1)])
    await wait_until(lambda: stack.delivered("shop") == {LENA}, "the first event")
    assert await _alarms(stack) == [(0, False)] * 2
    assert "ordering.state_lost" not in stack.log_text(), "a first start is silent"

    await operator.flushall()
    await wait_until(_alarms_are(stack, (1, True), 2), "the alarm of both")
    assert _told(stack, "ordering.state_lost") == 2, "once each"
    await stack.publish([_body(EMIL, "e2", 2)])
    await wait_until(lambda: stack.delivered("shop") == {LENA, EMIL}, "deliveries go on")
    code, out, err = await stack.command("state", "accept")
    assert (code, ", noticed 20" in out) == (0, True), err
    await wait_until(_alarms_are(stack, (0, False), 2), "the end of both alarms")
    assert _told(stack, "ordering.state_accepted") == 2
    assert _told(stack, "ordering.state_lost") == 2


@pytest.mark.timeout(300)
async def test_a_loss_while_the_fleet_is_down_shows_by_what_comes_back_and_is_mended(
    stack: Stack, operator: Redis
) -> None:
    """The runbook's way: what the older choice has replaced is published again."""
    await _start(stack)
    fault = stack.sandbox.state.faults.inject(target="collection", kind="status", status=503)
    older, newer = _body(LENA, "e1", 1), _body(LENA, "e2", 2, enabled=False)
    await stack.publish([older])
    await wait_until(lambda: _told(stack, "delivery.retried") == 1, "a retry in the delay")
    stack.sandbox.state.faults.clear(fault.id)
    await stack.publish([newer])
    await wait_until(lambda: _news(stack, LENA) is False, "the newer choice")
    await _stop(stack)
    await operator.flushall()
    await _start(stack)
    await wait_until(lambda: len(stack.messages("shop")) == 3, "the older choice", 60)
    await wait_until(lambda: _told(stack, "ordering.state_lost") == 1, "the alarm")
    assert _news(stack, LENA) is True, "the older choice has won; that is what the alarm is for"

    await stack.publish([newer])
    await wait_until(lambda: _news(stack, LENA) is False, "the newest choice, published again")
    await stack.publish([older])
    await stack.publish([_body(EMIL, "e3", 3)])
    await wait_until(lambda: EMIL in stack.delivered("shop"), "what comes after the older one")
    await wait_until(lambda: _is_superseded(stack), "the older one to be skipped")
    assert _news(stack, LENA) is False

    await _stop(stack)
    await _start(stack)
    assert _told(stack, "ordering.state_lost") == 2, "still open after a restart"


async def _is_superseded(stack: Stack) -> bool:
    return 'outcome="skipped",reason="superseded"} 1.0' in (await stack.get("/metrics"))[1]


@pytest.fixture
async def bury(stack: Stack) -> Callable[[bytes], Awaitable[None]]:
    """Has a worker make a dead letter of an event, by a refusal of Adobe."""

    async def make(content: bytes) -> None:
        before = await stack.depth("dead-letters")
        fault = stack.sandbox.state.faults.inject(target="collection", kind="status", status=400)
        await stack.publish([content])
        await stack.wait_for_depth("dead-letters", before + 1)
        stack.sandbox.state.faults.clear(fault.id)

    return make


async def _letter_of_a_lost_state(
    stack: Stack, operator: Redis, bury: Callable[[bytes], Awaitable[None]]
) -> tuple[Any, Any]:
    """The id of a dead letter of before a loss that was noticed, and its epoch."""
    await _start(stack)
    await bury(_body(LENA, "e1", 1))
    ((letter_id, epoch),) = await _letters(stack)
    assert epoch
    await operator.flushall()
    await wait_until(lambda: _told(stack, "ordering.state_lost") == 1, "the alarm")
    return letter_id, epoch


@pytest.mark.timeout(300)
async def test_letters_of_a_lost_state_are_held_back_until_an_operator_insists(
    stack: Stack, operator: Redis, bury: Callable[[bytes], Awaitable[None]]
) -> None:
    letter_id, epoch = await _letter_of_a_lost_state(stack, operator, bury)
    await bury(_body(EMIL, "e2", 1))
    await wait_until(lambda: _has_letters(stack, epoch), "one of before, and one of now")

    code, out, err = await stack.command("dead-letters", "replay", "--dry-run")
    assert (code, out) == (0, "would have replayed 1\n"), err
    assert "not replayed, and kept: 1 of before the state was lost" in err
    await stack.command("state", "accept")
    code, out, err = await stack.command("dead-letters", "replay", "--json")
    assert code == 1, "accepted or not"
    report = {"replayed": 1, "matched": 2, "kept": 1, "of_lost_state": 1, "dry_run": False}
    assert json.loads(out) == report
    assert "--after-state-loss" in err
    assert "docs/runbooks/state-lost.md" in err
    await wait_until(lambda: stack.delivered("shop") == {EMIL}, "the letter of the present state")

    code, out, err = await stack.command(
        "dead-letters", "replay", "--after-state-loss", "--id", str(letter_id)
    )
    assert (code, out) == (0, "replayed 1\n"), err
    await wait_until(lambda: LENA in stack.delivered("shop"), "the letter of the lost state")
    await wait_until(_alarms_are(stack, (0, False), 1), "no alarm for what was accepted")


async def test_a_letter_of_a_lost_state_that_dies_again_is_held_back_again(
    stack: Stack, operator: Redis, bury: Callable[[bytes], Awaitable[None]]
) -> None:
    _, epoch = await _letter_of_a_lost_state(stack, operator, bury)
    await stack.command("state", "accept")
    stack.sandbox.state.faults.inject(target="collection", kind="status", status=400, times=1)
    code, out, err = await stack.command("dead-letters", "replay", "--after-state-loss")
    assert (code, out) == (0, "replayed 1\n"), err
    await stack.wait_for_depth("dead-letters", 1)
    assert [one for _, one in await _letters(stack)] == [epoch]
    code, out, _ = await stack.command("dead-letters", "replay", "--json")
    assert (code, json.loads(out)["of_lost_state"]) == (1, 1)
    assert LENA not in stack.delivered("shop")
    await wait_until(_alarms_are(stack, (0, False), 1), "no alarm for what was accepted")


async def _has_letters(stack: Stack, epoch: str) -> bool:
    """What was given back is there again a moment later."""
    epochs = [one for _, one in await _letters(stack)]
    return len(epochs) == 2 and epoch in epochs and None not in epochs and len(set(epochs)) == 2


async def test_what_is_replayed_stays_of_the_state_that_a_worker_met_it_under(
    stack: Stack, operator: Redis, bury: Callable[[bytes], Awaitable[None]]
) -> None:
    await _start(stack)
    await bury(_body(LENA, "e1", 1))
    ((_, epoch),) = await _letters(stack)
    await _stop(stack)
    await operator.set(f"{stack.namespace}:epoch", f"{'0' * 16} 1800000000000")
    code, out, err = await stack.command("dead-letters", "replay", "--after-state-loss")
    assert (code, out) == (0, "replayed 1\n"), err
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{stack.namespace}.retries", ensure=False)
        message = await queue.get(no_ack=True)
    assert message is not None
    assert message.headers["consent-epoch"] == epoch


async def test_without_redis_a_start_says_that_it_forgets_and_letters_with_an_epoch_stay(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace) as stack:
        stack.add_integration("shop")
        await _start(stack)
        assert _told(stack, "ordering.in_memory") == 1
        stack.sandbox.state.faults.inject(target="collection", kind="status", status=400)
        await stack.publish([_body(LENA, "e1", 1)])
        await stack.wait_for_depth("dead-letters", 1)
        assert [epoch for _, epoch in await _letters(stack)] == [None]
        await _publish_letter(stack, {"consent-epoch": "1" * 16})
        await _publish_letter(stack, {"consent-epoch": "no epoch"})
        await stack.wait_for_depth("dead-letters", 3)
        stack.sandbox.state.faults.clear()
        code, out, err = await stack.command("dead-letters", "replay")
        assert (code, out) == (1, "replayed 2\n"), err
        assert "CONSENT_WORKER_STATE_URL" in err
        assert "ordering.state_lost" not in stack.log_text()
        await stack.wait_for_depth("dead-letters", 1)


async def _publish_letter(stack: Stack, headers: dict[str, str]) -> None:
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        message = aio_pika.Message(
            _body(EMIL, "e2", 2),
            delivery_mode=2,
            headers={"consent-integration": "shop", "consent-dead-reason": "poison", **headers},
        )
        await channel.default_exchange.publish(message, f"{stack.namespace}.dead-letters")
