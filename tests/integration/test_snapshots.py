"""Snapshots of the devices of a person, and choices that are taken back, end to end."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from devtools.stack import Stack, event
from devtools.waiting import wait_until

LENA = "lena@a.example"
NEWS = {"id": "_acme.news", "value": "consents_purposes_news_enabled"}
PROFILING = {"id": "_acme.profiling", "value": "consents_purposes_profiling_enabled"}
BAGS = {"id": "_acme.interests", "value": "consents_purposes_shop_values_interests_value"}
WHOLE = {"payload_mode": "xdm", "events": "user", "mappings": [NEWS, PROFILING]}
FALSE_WHEN_ABSENT = {
    "events": "user",
    "mappings": [{**NEWS, "absent": False}, {**PROFILING, "absent": False}],
}


def snapshot(time: str, user: str = "phone", kind: str = "user.updated", **purposes: bool) -> bytes:
    """The status of a Didomi user at a time of one day."""
    entity = {
        "id": user,
        "organization_id": "org-shop",
        "organization_user_id": LENA,
        "regulation": "gdpr",
        "version": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": f"2026-03-02T{time}:00Z",
        "consents": {"purposes": [{"id": one, "enabled": said} for one, said in purposes.items()]},
    }
    name = "entity" if kind == "user.created" else "new_entity"
    return json.dumps({"type": kind, "parameters": {name: entity}}).encode()


def preference(time: str, value: str) -> bytes:
    shop = {"id": "shop", "values": {"interests": {"value": value}}}
    document = event(
        "org-shop",
        LENA,
        event_id=f"event of {time}",
        created_at=f"2026-03-02T{time}:00Z",
        consents={"purposes": [shop]},
    )
    return json.dumps(document).encode()


def choice(time: str, name: str, enabled: bool = True) -> bytes:
    document = event(
        "org-shop",
        LENA,
        event_id=f"event of {time}",
        created_at=f"2026-03-02T{time}:00Z",
        consents={"purposes": [{"id": name, "enabled": enabled}]},
    )
    return json.dumps(document).encode()


class Shop:
    """One integration with a worker, whose events are published one after the other."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    async def ends(self, body: bytes, outcome: str) -> None:
        """Publish an event, and wait for its outcome."""
        before = len(self.outcomes)
        await self.stack.publish([body])
        await wait_until(lambda: len(self.outcomes) > before, outcome)
        assert self.outcomes[before:] == [outcome]

    @property
    def outcomes(self) -> list[str]:
        """But for duplicates: what a worker has not acknowledged when it is killed comes again."""
        told = [one for one in self.stack.log_entries() if one["event"].startswith("delivery.")]
        said = [one.get("reason", one["event"].removeprefix("delivery.")) for one in told]
        return [one for one in said if one != "duplicate"]

    @property
    def record(self) -> Any:
        """What Adobe has of the person."""
        return self.stack.sandbox.state.profiles["dataset-shop", LENA].record

    @property
    def requests(self) -> int:
        return len(self.stack.messages("shop"))

    async def restart(self) -> None:
        """Kill the worker, and start another one."""
        worker = self.stack.workers[-1]
        worker.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.wait)
        connected = self.stack.log_text().count("broker.connected")
        self.stack.start_worker()
        await wait_until(
            lambda: self.stack.log_text().count("broker.connected") > connected,
            "the next worker",
            60,
        )


@pytest.fixture(params=["memory", "sqlite", "redis"])
def state_url(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> str:
    urls = {"memory": "memory:", "sqlite": f"sqlite://{tmp_path}/state.sqlite", "redis": redis_url}
    return urls[request.param]


@asynccontextmanager
async def shop_with(
    broker_url: str, namespace: str, state_url: str, **changes: Any
) -> AsyncIterator[Shop]:
    async with Stack(broker_url, namespace, STATE_URL=state_url, LOG_LEVEL="debug") as stack:
        stack.add_integration("shop", limits={"profile_gap_seconds": 0}, **changes)
        stack.start_worker()
        await stack.wait_until_consuming()
        yield Shop(stack)


async def test_what_didomi_recomputes_after_a_deletion_erases_and_is_remembered(
    broker_url: str, namespace: str, state_url: str
) -> None:
    async with shop_with(broker_url, namespace, state_url, **WHOLE) as shop:
        await shop.ends(snapshot("10:00", news=True), "delivered")
        assert shop.record["_acme"] == {"news": True}
        await shop.ends(snapshot("11:00"), "delivered")
        assert "_acme" not in shop.record
        await shop.ends(snapshot("10:30", news=True, profiling=True), "superseded")
        assert "_acme" not in shop.record


async def test_another_device_erases_only_what_it_had_said_itself(
    broker_url: str, namespace: str, state_url: str
) -> None:
    async with shop_with(broker_url, namespace, state_url, **WHOLE) as shop:
        await shop.ends(snapshot("10:00", news=True), "delivered")
        await shop.ends(snapshot("10:30", "tablet", "user.created"), "no-choices")
        await shop.ends(snapshot("11:00", "tablet", profiling=True), "delivered")
        assert shop.record["_acme"] == {"news": True, "profiling": True}
        await shop.ends(snapshot("12:00", "tablet"), "delivered")
        assert shop.record["_acme"] == {"news": True}


async def test_with_upsert_a_choice_becomes_what_the_mapping_says_of_absence(
    broker_url: str, namespace: str, state_url: str
) -> None:
    async with shop_with(broker_url, namespace, state_url, **FALSE_WHEN_ABSENT) as shop:
        await shop.ends(snapshot("10:00", news=True, profiling=True), "delivered")
        await shop.ends(snapshot("11:00", profiling=True), "delivered")
        assert shop.record["_acme"] == {"news": False, "profiling": True}
        await shop.ends(snapshot("12:00", "tablet", profiling=False), "delivered")
        assert shop.record["_acme"] == {"news": False, "profiling": False}
        await shop.ends(snapshot("10:30", news=True), "superseded")


async def test_an_emptied_preference_is_remembered(
    broker_url: str, namespace: str, state_url: str
) -> None:
    async with shop_with(broker_url, namespace, state_url, mappings=[BAGS]) as shop:
        await shop.ends(preference("10:00", "shoes,bags"), "delivered")
        await shop.ends(preference("11:00", ""), "emptied")
        await shop.ends(preference("10:30", "bags"), "superseded")
        assert shop.requests == 1


async def test_an_emptied_preference_becomes_what_the_mapping_says_of_emptiness(
    broker_url: str, namespace: str
) -> None:
    mappings = [{**BAGS, "empty": "none"}]
    async with shop_with(broker_url, namespace, "memory:", mappings=mappings) as shop:
        await shop.ends(preference("10:00", "shoes,bags"), "delivered")
        await shop.ends(preference("11:00", ""), "delivered")
        await shop.ends(preference("10:30", "bags"), "superseded")
        assert shop.record["_acme"] == {"interests": "none"}


async def test_the_time_that_is_sent_never_goes_back(
    broker_url: str, namespace: str, state_url: str
) -> None:
    changes = {"mappings": [NEWS, PROFILING], "event_time_path": "extSourceSystemAudit.last"}
    async with shop_with(broker_url, namespace, state_url, **changes) as shop:
        await shop.ends(choice("11:00", "news"), "delivered")
        await shop.ends(choice("10:00", "profiling"), "delivered")
        assert shop.record["extSourceSystemAudit"]["last"].startswith("2026-03-02T11:00:00")
        assert shop.record["_acme"] == {"news": True, "profiling": True}
        await shop.ends(choice("12:00", "profiling"), "delivered")
        assert shop.record["extSourceSystemAudit"]["last"].startswith("2026-03-02T12:00:00")


@pytest.mark.parametrize("state_url", ["sqlite", "redis"], indirect=True)
async def test_who_said_what_is_known_after_a_kill(
    broker_url: str, namespace: str, state_url: str
) -> None:
    async with shop_with(broker_url, namespace, state_url, **WHOLE) as shop:
        await shop.ends(snapshot("10:00", news=True), "delivered")
        await shop.restart()
        await shop.ends(snapshot("11:00", "tablet", profiling=True), "delivered")
        assert shop.record["_acme"] == {"news": True, "profiling": True}
        await shop.restart()
        await shop.ends(snapshot("12:00"), "delivered")
        assert shop.record["_acme"] == {"profiling": True}


async def test_nothing_of_a_person_is_in_the_state_in_the_clear_and_nothing_expires(
    broker_url: str, redis_url: str, namespace: str
) -> None:
    said: Awaitable[Any]
    async with (
        Redis.from_url(redis_url) as redis,
        shop_with(broker_url, namespace, redis_url, **WHOLE) as shop,
    ):
        await shop.ends(snapshot("10:00", "IDFA-4711", news=True), "delivered")
        (key,) = [one for one in await redis.keys(f"{namespace}:{{shop}}:*") if b"busy" not in one]
        assert await redis.ttl(key) > 50 * 365 * 86_400
        said = redis.hgetall(key)
        fields = await said
        assert len(fields) == 3, "a stamp, what is beside it, and the newest snapshot"
        told = repr(fields)
        for secret in ("4711", "lena", "consents_purposes", "true"):
            assert secret not in told
        assert "IDFA-4711" not in shop.stack.log_text()
