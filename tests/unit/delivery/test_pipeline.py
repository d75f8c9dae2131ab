"""From a message to its outcome, with a clock that jumps: pauses, old and strange times, skew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Published, Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time, now
from worker.adobe.replies import Accepted, Retryable
from worker.broker.delay import LEVELS, level_ttl_ms, level_word
from worker.reasons import ErrorCode

REFUSED = Retryable(ErrorCode.ADOBE_REFUSED, "HTTP 403", 403)
AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
PROBE_SECONDS = 5.1
FIVE_MINUTES = 300
WEEK = 7 * 86_400


@in_virtual_time
async def test_a_pause_parks_without_an_attempt_and_ends_with_a_probe() -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    adobe.reply = REFUSED
    await worker.take(body("e1"))
    assert worker.told == ["block", "parked"]
    await worker.take(body("e2", user="omar"))
    assert (worker.told[2:], adobe.asked) == (["parked"], 1)
    await after(GATHERED_SECONDS)
    for parked in worker.hand.host.published:
        assert "consent-attempts" not in parked.headers
        assert parked.headers["consent-blocked-since"]
        assert parked.headers["consent-error"] == "adobe-refused"
    adobe.reply = Accepted("x")
    await after(15)
    await worker.take(worker.latest.body, worker.latest.headers)
    assert worker.told[3:] == ["parked", "delivered", "unblocked"], "one of them is the probe"
    await after(GATHERED_SECONDS)
    await worker.take(worker.latest.body, worker.latest.headers)
    assert worker.told[6:] == ["delivered"]


@in_virtual_time
async def test_a_probe_that_had_nothing_to_send_does_not_hold_the_next_one() -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    await worker.take(body("e1"))
    adobe.reply = REFUSED
    await worker.take(body("e2", user="omar"))
    await after(15)
    parked = worker.latest
    await worker.take(body("e1"))
    assert worker.told == ["delivered", "block", "parked", "duplicate"]
    adobe.reply = Accepted("x")
    await worker.take(parked.body, parked.headers)
    assert worker.told[4:] == ["delivered", "unblocked"]


@in_virtual_time
async def test_patience_that_is_spent_ends_in_a_dead_letter_that_names_the_fault() -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    adobe.reply = REFUSED
    await worker.take(body("e1"))
    while worker.told[-1] == "parked":
        await after(300)
        await worker.take(worker.latest.body, worker.latest.headers)
    letter = worker.latest
    assert now() - 1000 == pytest.approx(86_400, abs=301)
    assert letter.exchange == "consent.dead-letters"
    assert letter.headers["consent-dead-reason"] == "setup-failure"
    assert letter.headers["consent-error"] == "adobe-refused"
    assert "consent-attempts" not in letter.headers


@in_virtual_time
async def test_a_week_old_dead_letter_does_not_overwrite_a_newer_choice() -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    await worker.take(body("new", enabled=False))
    replayed = {"consent-integration": "shop", "consent-replays": 1}
    await worker.take(body("old", ago=WEEK), replayed)
    assert worker.told == ["delivered", "superseded"]
    assert adobe.records == [{"news": False}]
    await worker.take(body("old", ago=WEEK, user="omar"), replayed)
    assert worker.told[2:] == ["delivered"], "where there is nothing newer it counts"


@pytest.mark.parametrize(
    ("ahead", "outcome"), [(300, "delivered"), (301, "parked"), (86_701, "dead"), (1e10, "dead")]
)
@in_virtual_time
async def test_a_version_of_the_future_blocks_no_later_one(ahead: float, outcome: str) -> None:
    """Of two versions of an event the later `updated_at` wins: that of a bad clock would, too."""
    worker = Worker(Adobe(), Store())
    bad = orjson.loads(body("news", ago=3600))
    bad["updated_at"] = datetime.fromtimestamp(NOON + ahead, UTC).isoformat()
    await worker.take(orjson.dumps(bad))
    assert worker.told == [outcome]
    if outcome != "delivered":
        later = orjson.loads(body("news", ago=3600, enabled=False))
        later["updated_at"] = datetime.fromtimestamp(NOON - 5, UTC).isoformat()
        await worker.take(orjson.dumps(later))
        assert worker.told[-1] == "delivered"


@pytest.mark.parametrize(
    ("ago", "outcome"),
    [
        pytest.param(-FIVE_MINUTES, "delivered", id="5 minutes ahead"),
        pytest.param(-FIVE_MINUTES - 1, "parked", id="more than that"),
        pytest.param(-FIVE_MINUTES - 86_400, "parked", id="a day more"),
        pytest.param(-FIVE_MINUTES - 86_401, "dead", id="more than a day"),
        pytest.param(-1000 * 365 * 86_400, "dead", id="a thousand years ahead"),
        pytest.param(80 * 365 * 86_400, "delivered", id="before 1970"),
        pytest.param(1500 * 365 * 86_400, "delivered", id="long ago"),
    ],
)
@in_virtual_time
async def test_an_event_of_another_time(ago: float, outcome: str) -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    await worker.take(body("now", ago=0, enabled=False))
    await worker.take(body("strange", ago=ago, user="omar"))
    assert worker.told == ["delivered", outcome]
    if outcome == "dead":
        assert worker.latest.headers["consent-dead-reason"] == "invalid-event"
        assert worker.latest.body == body("strange", ago=ago, user="omar")
    await worker.take(body("strange too", ago=max(ago, 1)))
    assert worker.told[2:] == ["superseded"], "the newer choice stays"


@in_virtual_time
async def test_workers_whose_clocks_differ_make_all_retries_and_no_more() -> None:
    adobe = Adobe()
    store = Store()
    workers = [Worker(adobe, store, lead) for lead in (FIVE_MINUTES, -FIVE_MINUTES, 0)]
    adobe.reply = AWAY
    headers: dict[str, Any] | None = None
    began = now()
    number = 0
    while True:
        worker = workers[number % len(workers)]
        told = len(worker.told)
        await worker.take(body("e1", ago=FIVE_MINUTES), headers)
        while len(worker.told) == told:  # due events of a failing endpoint wait for company
            await after(0.1)
        headers = worker.latest.headers
        if worker.told[-1] == "dead":
            break
        assert worker.told[-1] == "retried"
        await after(_delay(worker.latest))
        number += 1
    assert headers["consent-dead-reason"] == "retries-exhausted"
    assert headers["consent-attempts"] == adobe.asked >= 6
    assert now() - began <= 300
    adobe.reply = Accepted("x")
    await workers[0].take(body("e2", ago=FIVE_MINUTES - 1, enabled=False))
    await after(PROBE_SECONDS)
    for worker in workers:
        await worker.take(body("e1", ago=FIVE_MINUTES))
        await after(PROBE_SECONDS)
        assert worker.told[-1] == "superseded", "the time of the choice counts, not of the worker"
    assert adobe.records == [{"news": False}]


def _delay(retry: Published) -> float:
    """Seconds that the chain of delays keeps a message, by its routing key."""
    seconds = {level_word(level): level_ttl_ms(level) / 1000 for level in range(LEVELS)}
    return sum(seconds[word] for word in retry.routing_key.split("."))


@pytest.mark.parametrize("headers", [{}, {"consent-integration": "shop"}], ids=["fresh", "named"])
@in_virtual_time
async def test_a_deletion_that_tells_no_organization_is_skipped_and_not_doubted(
    headers: dict[str, Any],
) -> None:
    """As Didomi's page shows it: no organization has lost an integration by it."""
    worker = Worker(Adobe(), Store())
    entity = {"id": "ev-1", "created_at": "2026-03-02T08:15:30Z"}
    deletion = {"type": "Event.deleted", "parameters": {"entity": entity}}
    await worker.take(orjson.dumps(deletion), headers)
    assert worker.told == ["event-deleted"]
    assert worker.hand.host.published == []
