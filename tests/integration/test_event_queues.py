"""Several queues of fresh events: all are worked off, newest wins across them, and none is lost."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Sized
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import aio_pika
import pytest

from devtools.broker import RunningBroker
from devtools.stack import Stack, event
from devtools.waiting import wait_until

QUEUES: Final = ("events", "events.2", "events.3")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def stack(broker_url: str, redis_url: str, namespace: str) -> AsyncIterator[Stack]:
    settings = {"EVENT_QUEUES": ",".join(QUEUES), "STATE_URL": redis_url, "LOG_LEVEL": "debug"}
    async with Stack(broker_url, namespace, **settings) as running:
        running.add_integration("shop")
        yield running


async def _until(condition: Callable[[], Any], what: str) -> None:
    """With patience: a machine that has other work starts a worker slowly."""
    await wait_until(condition, what, 90)


def _bodies(first: int, count: int, organization: str = "org-shop") -> list[bytes]:
    return [
        json.dumps(event(organization, f"u{n}@a.example", event_id=f"ev-{n}")).encode()
        for n in range(first, first + count)
    ]


def _choice(user: str, *, age_minutes: int, enabled: bool) -> bytes:
    made = datetime.now(UTC) - timedelta(minutes=age_minutes)
    document = event("org-shop", f"{user}@a.example", enabled=enabled, created_at=made.isoformat())
    return json.dumps(document).encode()


async def _declare(stack: Stack) -> None:
    code, _, err = await stack.command("topology", "declare")
    assert code == 0, err


def _reasons(stack: Stack) -> list[Any]:
    return [one["reason"] for one in stack.log_entries() if one["event"] == "delivery.skipped"]


async def test_what_is_published_to_any_of_the_queues_is_delivered(stack: Stack) -> None:
    stack.start_worker()
    await stack.wait_until_consuming(90)
    for number, queue in enumerate(QUEUES):
        await stack.publish(_bodies(number * 20, 20), queue)
    await _until(lambda: len(stack.delivered("shop")) == 60, "all events")
    metrics = (await stack.get("/metrics"))[1]
    for queue in QUEUES:
        assert f'consent_queue_messages{{queue="{stack.namespace}.{queue}"}} 0.0' in metrics


async def test_the_newest_choice_wins_whichever_queue_it_came_by(stack: Stack) -> None:
    """First with both in hand at once, then with the older one long after the newer one."""
    await _declare(stack)
    for one, other in (("events", "events.2"), ("events.3", "events")):
        user = f"at-once-{one}"
        await stack.publish([_choice(user, age_minutes=1, enabled=False)], one)
        await stack.publish([_choice(user, age_minutes=9, enabled=True)], other)
    stack.start_worker()
    await stack.wait_until_consuming(90)
    await _until(lambda: len(stack.delivered("shop")) == 2, "the first two people")
    for one, other in (("events", "events.2"), ("events.2", "events")):
        user = f"later-{one}"
        people, skipped = len(stack.delivered("shop")), len(_reasons(stack))
        await stack.publish([_choice(user, age_minutes=1, enabled=False)], one)
        await _until(partial(_more_than, people, stack.delivered, "shop"), "the newer one")
        await stack.publish([_choice(user, age_minutes=9, enabled=True)], other)
        await _until(partial(_more_than, skipped, _reasons, stack), "the older one")
    assert set(_reasons(stack)) == {"superseded"}
    for profile in stack.sandbox.state.profiles.values():
        assert profile.record["_acme"] == {"newsletter": False}


def _more_than(number: int, ask: Callable[..., Sized], of: object) -> bool:
    return len(ask(of)) > number


async def test_a_killed_worker_loses_nothing_of_any_queue(stack: Stack) -> None:
    await _declare(stack)
    for number, queue in enumerate(QUEUES):
        await stack.publish(_bodies(number * 200, 200), queue)
    stack.sandbox.state.faults.inject(target="collection", kind="latency", latency_ms=300)
    killed = stack.start_worker()
    await _until(lambda: stack.delivered("shop"), "the first ones")
    killed.send_signal(signal.SIGKILL)
    await asyncio.to_thread(killed.wait)
    stack.sandbox.state.faults.clear()
    stack.start_worker()
    await _until(lambda: len(stack.delivered("shop")) == 600, "every event")
    for queue in (*QUEUES, "dead-letters"):
        await stack.wait_for_depth(queue, 0)


async def test_a_deep_queue_does_not_hold_up_another(stack: Stack) -> None:
    """By counting: what a worker has in hand of the deep one bounds what goes before."""
    stack.override("PREFETCH_EVENTS", 30)
    stack.add_integration("shop", limits={"messages_per_request": 1, "requests_in_flight": 1})
    await _declare(stack)
    await stack.publish(_bodies(0, 500))
    stack.start_worker()
    await _until(lambda: len(stack.delivered("shop")) > 10, "the first ones")
    before = len(stack.messages("shop"))
    await stack.publish(_bodies(1000, 1), "events.3")
    late = "u1000@a.example"
    await _until(lambda: late in stack.delivered("shop"), "the one of the other queue")
    sent = [late in json.dumps(message) for _, message in stack.messages("shop")]
    assert sent.index(True) - before < 150, "not behind the rest of the deep queue"


async def test_a_customer_that_hangs_fills_no_queue_for_others(stack: Stack) -> None:
    stack.override("PREFETCH_EVENTS", 60)
    stack.add_integration("hangs")
    stack.sandbox.state.faults.inject(target="collection", kind="hang", key="hangs")
    await _declare(stack)
    await stack.publish(_bodies(0, 300, "org-hangs"), "events.2")
    stack.start_worker()
    await stack.wait_until_consuming(90)
    for number, queue in enumerate(QUEUES):
        await stack.publish(_bodies(number * 20, 20), queue)
    await _until(lambda: len(stack.delivered("shop")) == 60, "everybody else's")
    assert stack.delivered("hangs") == set()


async def test_a_queue_that_is_deleted_is_declared_again_by_the_next_session(
    stack: Stack,
) -> None:
    stack.start_worker()
    await stack.wait_until_consuming(90)
    connection = await aio_pika.connect(stack.amqp_url)
    async with connection:
        channel = await connection.channel()
        await channel.queue_delete(f"{stack.namespace}.events.2")
        await _until(lambda: stack.log_text().count("broker.connected") == 2, "a session")
        exchange = await channel.get_exchange(f"{stack.namespace}.event-queues")
        for number, queue in enumerate(QUEUES):
            (body,) = _bodies(number, 1)
            message = aio_pika.Message(body, delivery_mode=2)
            await exchange.publish(message, f"{stack.namespace}.{queue}")
    await _until(lambda: len(stack.delivered("shop")) == 3, "one of each queue")


async def test_more_queues_need_no_stop(stack: Stack) -> None:
    """What is there stays as it is, so workers of the shorter list may run."""
    stack.override("EVENT_QUEUES", "events")
    stack.start_worker()
    await stack.wait_until_consuming(90)
    stack.override("EVENT_QUEUES", "events,events.2")
    code, out, err = await stack.command("topology", "migrate", "--settle", "0s")
    assert code == 0, err
    assert [line.split() for line in out.splitlines()] == [
        ["create", "exchange", f"{stack.namespace}.event-queues"],
        ["create", "queue", f"{stack.namespace}.events.2"],
    ]
    await stack.publish(_bodies(0, 1))
    await _until(lambda: stack.delivered("shop"), "the event")


async def test_publish_takes_the_queues_in_turn(stack: Stack) -> None:
    code, out, err = await stack.command("publish", "-", stdin=b"\n".join(_bodies(0, 9)))
    assert (code, out) == (0, "published 9 events\n"), err
    assert [await stack.depth(queue) for queue in QUEUES] == [3, 3, 3]
    stack.override("EVENT_QUEUES", "events")
    code, _, err = await stack.command("publish", "-", stdin=b"\n".join(_bodies(9, 2)))
    assert code == 0, err
    assert [await stack.depth(queue) for queue in QUEUES] == [5, 3, 3]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("events,events.2,events.2", "names 2 and 3 are the same"),
        ("events,events.dead-letters", "name 2 ends as another queue does"),
        ("events,amq.direct", "name 2 must be events, or events."),
        ("events.2", "must have events beside the others"),
    ],
)
async def test_a_list_that_can_not_be_used_is_told(stack: Stack, value: str, problem: str) -> None:
    stack.override("EVENT_QUEUES", value)
    for command in (("run",), ("receive",), ("topology", "show"), ("publish", "-")):
        code, _, err = await stack.command(*command)
        assert code == 2
        assert f"setting CONSENT_WORKER_EVENT_QUEUES: {problem}" in err


async def _notes(stack: Stack) -> list[str]:
    return list(json.loads((await stack.get("/readyz"))[1])["notes"])


async def test_a_queue_that_is_in_no_list_any_more_is_told_and_its_events_are_not_left(
    stack: Stack,
) -> None:
    stack.override("EVENT_QUEUES", "events,events.2")
    stack.override("PREFETCH_EVENTS", 4)
    stack.override("SHUTDOWN_TIMEOUT_SECONDS", 1)
    stack.override("HEARTBEAT_SECONDS", 60)
    await _declare(stack)
    name = f"{stack.namespace}.events.2"
    stack.sandbox.state.faults.inject(target="collection", kind="hang")
    stack.override("EVENT_QUEUES", "events")
    stack.start_worker()
    await stack.wait_until_consuming(90)
    stack.override("EVENT_QUEUES", "events,events.2")
    older = stack.start_worker()

    async def is_noted() -> bool:
        told = f"1 of 2 workers take events from {name}: the others have another"
        return any(one.startswith(told) for one in await _notes(stack))

    await _until(lambda: stack.log_text().count("broker.connected") == 2, "the older one")
    await _until(is_noted, "the different lists")
    older.send_signal(signal.SIGSTOP)  # or it would have parked all of them before its end
    await stack.publish(_bodies(0, 40), "events.2")
    stack.override("EVENT_QUEUES", "events")
    drop = ("topology", "migrate", "--settle", "0s", "--drop", "events.2")
    code, _, err = await stack.command(*drop, "--dry-run")
    assert code == 1
    assert f"queue {name} has 1 consumer: stop the workers that name it" in err
    older.send_signal(signal.SIGTERM)
    older.send_signal(signal.SIGCONT)
    assert await asyncio.to_thread(older.wait, 60) == 0
    (told,) = (one for one in stack.log_entries() if one["event"] == "queue.left")
    assert (told["queue"], told["level"]) == (name, "warning")
    left = await stack.depth("events.2")
    assert 0 < told["messages"] <= left, "what it had in hand is given back a moment later"
    code, out, err = await stack.command("topology", "migrate", "--settle", "0s", "--dry-run")
    assert (code, out) == (0, "nothing is to be changed\n")
    assert f"queue {name} has {left} messages, and CONSENT_WORKER_EVENT_QUEUES does not" in err
    code, out, err = await stack.command(*drop, "--dry-run")
    assert "does not name it" not in err
    assert (code, out.split()[:4]) == (0, ["drop", "queue", name, str(left)]), err
    stack.sandbox.state.faults.clear()
    code, _, err = await stack.command(*drop)
    assert code == 0, err
    assert await stack.depth("events.2") == -1, "it is gone"
    await _until(lambda: len(stack.delivered("shop")) == 40, "each event")
    code, out, err = await stack.command(*drop)
    assert (code, out) == (0, "nothing is to be changed\n"), err


async def test_a_leader_that_does_not_answer_for_a_moment_ends_no_session(
    own_broker: RunningBroker, namespace: str
) -> None:
    """The broker then says of the queue that it has neither messages nor consumers."""
    settings = {"EVENT_QUEUES": "events,events.2", "PREFETCH_EVENTS": 4, "LOG_LEVEL": "debug"}
    async with Stack(own_broker.url, namespace, **settings) as stack:
        stack.add_integration("shop")
        await _declare(stack)
        await stack.publish(_bodies(0, 40), "events.2")
        stack.sandbox.state.faults.inject(target="collection", kind="hang")
        stack.start_worker()
        await stack.wait_until_consuming(90)

        async def is_counted(is_empty: bool) -> bool:
            metrics = (await stack.get("/metrics"))[1]
            line = f'consent_queue_messages{{queue="{namespace}.events.2"}} '
            return line in metrics and (f"{line}0.0" in metrics) == is_empty

        async def lead(order: str) -> None:
            call = f"sys:{order}('%2F_{namespace}.events.2')."
            await asyncio.to_thread(own_broker.ctl, "eval", call)

        await wait_until(partial(is_counted, False), "a check", 90)
        await lead("suspend")
        await wait_until(partial(is_counted, True), "a check that was answered wrongly", 90)
        assert "take events from" not in str(await _notes(stack)), "no word of another list"
        stack.sandbox.state.faults.clear()
        await stack.publish(_bodies(100, 5))
        await _until(lambda: len(stack.delivered("shop")) >= 5, "those of the other queue")
        await lead("resume")
        await _until(lambda: len(stack.delivered("shop")) == 45, "all events")
        assert stack.log_text().count("broker.connected") == 1
