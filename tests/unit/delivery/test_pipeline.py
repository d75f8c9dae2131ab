"""From a message to its outcome, with a clock that jumps: pauses, old and strange times, skew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.unit.delivery.parts import Hand, Published, Store
from tests.unit.delivery.virtual_time import after, in_virtual_time, now
from tests.unit.examples import event_document, integration
from worker.adobe.replies import Accepted, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.delay import LEVELS, NativeDelay, level_ttl_ms, level_word
from worker.broker.topology import Names
from worker.delivery.delivery import Delivery
from worker.delivery.gate import StoreGate
from worker.delivery.outcome import Failure, Outcome, Skipped
from worker.delivery.pipeline import Limits, Pipeline
from worker.delivery.retry_policy import RetryPolicy
from worker.integrations.model import Integration
from worker.ordering.users import UserKeys

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
REFUSED = Retryable("adobe-refused", "HTTP 403", 403)
AWAY = Retryable("adobe-unavailable", "HTTP 503", 503)
FIVE_MINUTES = 300
WEEK = 7 * 86_400
SHOP = integration(limits={"profile_gap_seconds": 0})


class Adobe:
    """Answers every request with `reply`, and keeps the records that it accepted."""

    def __init__(self) -> None:
        self.reply: Accepted | Retryable = Accepted("x")
        self.records: list[Any] = []
        self.asked = 0

    async def look_up(self, *_: object) -> None:
        raise AssertionError("nothing is to be looked up")

    async def send(
        self, _: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted] | Retryable:
        self.asked += 1
        if isinstance(self.reply, Retryable):
            return self.reply
        self.records += [one.record["_acme"] for one in messages]
        return [self.reply] * len(messages)


class Worker:
    """A pipeline with real parts but for the broker and Adobe; it is the observer, too. It shares
    `adobe` and `store` with others, and its clock is `clock_lead` seconds ahead of theirs.
    """

    def __init__(self, adobe: Adobe, store: Store, clock_lead: float = 0) -> None:
        self.hand = Hand()
        self.told: list[str] = []
        began = now()
        self.pipeline = Pipeline(
            routes=self,
            sender=adobe,
            gate=StoreGate(store),
            users=UserKeys(),
            policy=RetryPolicy(300, 30),
            delay=NativeDelay("consent"),
            queues=Names("consent"),
            limits=Limits(100_000, 5, setup_probe_seconds=15, setup_patience_seconds=86_400),
            observer=self,
            clock=lambda: NOON + now() - began + clock_lead,
            jitter=lambda: 0.0,
        )

    async def take(self, body: bytes, headers: dict[str, Any] | None = None) -> None:
        self.pipeline.take(self.hand.message(body, headers))
        await after(0.01)  # two requests of a lane start some milliseconds apart

    @property
    def latest(self) -> Published:
        """What was published last: a retry, a parked event, or a dead letter."""
        return self.hand.session.published[-1]

    def for_organization(self, _: str) -> list[Integration]:
        return [SHOP]

    def get(self, _: str) -> Integration:
        return SHOP

    def is_broken_for(self, _: str) -> list[str]:
        return []

    def outcome(self, _: str, outcome: Outcome, seconds: float, event_id: str) -> None:
        reason = outcome.reason if isinstance(outcome, Skipped) else type(outcome).__name__.lower()
        self.told.append(reason)

    def delivered(self, _: str, accepted: list[tuple[Delivery, Accepted]]) -> None:
        self.told += ["delivered"] * len(accepted)

    def parked_again(self, _: str, events: int) -> None:
        self.told += ["parked again"] * events

    def paused(self, _: str, failure: Failure) -> None:
        self.told.append("pause")

    def resumed(self, _: str) -> None:
        self.told.append("resumed")


def body(event_id: str, *, ago: float = 60, enabled: bool = True, user: str = "lena") -> bytes:
    """An event that was made `ago` seconds before noon."""
    made = datetime.fromtimestamp(NOON - ago, UTC)
    return orjson.dumps(
        event_document(
            id=event_id,
            created_at=made.isoformat(),
            user={"id": "device", "organization_user_id": f"{user}@northwind.example"},
            consents={"purposes": [{"id": "news", "enabled": enabled}]},
        )
    )


@in_virtual_time
async def test_a_pause_parks_without_an_attempt_and_ends_with_a_probe() -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    adobe.reply = REFUSED
    await worker.take(body("e1"))
    assert worker.told == ["pause", "parked"]
    await worker.take(body("e2", user="omar"))
    assert (worker.told[2:], adobe.asked) == (["parked"], 1)
    for parked in worker.hand.session.published:
        assert "consent-attempts" not in parked.headers
        assert parked.headers["consent-paused-since"]
        assert parked.headers["consent-error"] == "adobe-refused"
    adobe.reply = Accepted("x")
    await after(15)
    for parked in list(worker.hand.session.published):
        await worker.take(parked.body, parked.headers)
    assert worker.told[3:] == ["delivered", "resumed", "delivered"]


@in_virtual_time
async def test_a_probe_that_had_nothing_to_send_does_not_hold_the_next_one() -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    await worker.take(body("e1"))
    adobe.reply = REFUSED
    await worker.take(body("e2", user="omar"))
    parked = worker.latest
    await after(15)
    await worker.take(body("e1"))
    assert worker.told == ["delivered", "pause", "parked", "duplicate"]
    adobe.reply = Accepted("x")
    await worker.take(parked.body, parked.headers)
    assert worker.told[4:] == ["delivered", "resumed"]


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
    ("ago", "outcome"),
    [
        pytest.param(-FIVE_MINUTES, "delivered", id="5 minutes ahead"),
        pytest.param(-FIVE_MINUTES - 1, "dead", id="more than that"),
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
        await worker.take(body("e1", ago=FIVE_MINUTES), headers)
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
    for worker in workers:
        await worker.take(body("e1", ago=FIVE_MINUTES))
        assert worker.told[-1] == "superseded", "the time of the choice counts, not of the worker"
    assert adobe.records == [{"news": False}]


def _delay(retry: Published) -> float:
    """Seconds that the chain of delays keeps a message, by its routing key."""
    seconds = {level_word(level): level_ttl_ms(level) / 1000 for level in range(LEVELS)}
    return sum(seconds[word] for word in retry.routing_key.split("."))
