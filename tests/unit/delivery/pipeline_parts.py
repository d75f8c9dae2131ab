"""A pipeline with all that it needs, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from tests.unit.delivery.parts import Hand, Published, Store
from tests.unit.delivery.virtual_time import after, now
from tests.unit.examples import event_document, integration
from worker.adobe.replies import Accepted, NoProfile, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.delay import NativeDelay
from worker.broker.queue_names import Names
from worker.delivery.build_pipeline import build_pipeline
from worker.delivery.delivery import Delivery
from worker.delivery.inlets.known_inlets import KnownInlets
from worker.delivery.outcome import Failure, Outcome, Skipped
from worker.delivery.pipeline_limits import PipelineLimits
from worker.delivery.receipting import ReceiptBook
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.rounds.store_gate import StoreGate
from worker.delivery.unknown_organizations import AskFleet
from worker.integrations.model import Integration, Missing
from worker.ordering.user_digests import UserKeys

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
SHOP = integration(limits={"profile_gap_seconds": 0})


class Adobe:
    """Answers requests with `reply`, while it answers, and keeps the records that it accepted."""

    def __init__(self) -> None:
        self.reply: Accepted | Retryable | Permanent = Accepted("x")
        self.records: list[Any] = []
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def look_up(self, *_: object) -> NoProfile | None:
        raise AssertionError("nothing is to be looked up")

    async def look_up_record(self, *_: object) -> Mapping[str, Any] | Retryable:
        raise AssertionError("no record is to be looked up")

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        self.asked += 1
        await self.answers.wait()
        if isinstance(self.reply, (Retryable, Permanent)):
            return self.reply
        self.records += [one.record["_acme"] for one in messages]
        return [self.reply] * len(messages)


class Worker:
    """A pipeline with real parts but for the broker and Adobe; it is the observer, too. It shares
    `adobe` and `store` with others, and its clock is `clock_lead` seconds ahead of theirs.
    """

    def __init__(
        self,
        adobe: Adobe,
        store: Store,
        clock_lead: float = 0,
        shop: Integration = SHOP,
        inlets: KnownInlets | None = None,
        receipts: ReceiptBook | None = None,
        secret: bytes = b"",
        users: UserKeys | None = None,
        ask_fleet: AskFleet | None = None,
    ) -> None:
        self.hand = Hand()
        self.shop = shop
        self.told: list[str] = []
        self.lateness: list[tuple[str, float]] = []
        began = now()
        self.gate = StoreGate(store)
        self.pipeline = build_pipeline(
            routes=self,
            sender=adobe,
            gate=self.gate,
            users=users or UserKeys(secret),
            policy=RetryPolicy(300, 30),
            delay=NativeDelay("consent"),
            queues=Names("consent", ("events", "events.2")),
            limits=PipelineLimits(
                100_000, 5, block_probe_seconds=15, block_patience_seconds=86_400
            ),
            observer=self,
            receipts=receipts,
            inlets=inlets,
            clock=lambda: NOON + now() - began + clock_lead,
            jitter=lambda: 0.0,
            ask_fleet=ask_fleet,
        )

    async def take(self, body: bytes, headers: dict[str, Any] | None = None) -> None:
        self.pipeline.handle(self.hand.message(body, headers))
        await after(0.01)  # two requests of a lane start some milliseconds apart

    @property
    def latest(self) -> Published:
        """What was published last: a retry, a parked event, or a dead letter."""
        return self.hand.host.published[-1]

    def for_organization(self, _: str) -> list[Integration]:
        return [self.shop]

    def undoubted_for(self, _: str) -> list[Integration]:
        is_doubtful = self.disabled_for(_) or self.missing_for(_) or self.doubt_about_all()
        return [] if is_doubtful else self.for_organization(_)

    def get(self, _: str) -> Integration | None:
        return self.shop

    def missing_for(self, _: str) -> Mapping[str, Missing]:
        return {}

    def doubt_about_all(self) -> str | None:
        return None

    def disabled_for(self, _: str) -> list[Integration]:
        return []

    def doubt_about(self, _: str) -> str | None:
        return None

    def outcome(self, _: str, outcome: Outcome, seconds: float, event_id: str) -> None:
        reason = outcome.reason if isinstance(outcome, Skipped) else type(outcome).__name__.lower()
        self.told.append(reason)

    def delivered(self, _: str, accepted: list[tuple[Delivery, Accepted]]) -> None:
        self.told += ["delivered"] * len(accepted)

    def accepted_late(self, _: str, accepted: list[tuple[Delivery, Accepted]]) -> None:
        self.told += ["accepted late"] * len(accepted)

    def delivered_late(self, _: str, delivery: Delivery) -> None:
        self.told.append("delivered")

    def repeat_planned(self, _: str, event_id: str, delay_seconds: float) -> None:
        self.told.append(f"repeat of {event_id} in {delay_seconds:g} s")

    def repeat_ended(self, _: str, event_id: str, end: str, seconds: float) -> None:
        self.told.append(f"repeat of {event_id}: {end}")

    def parked_again(self, _: str, reason: str, events: int) -> None:
        self.told += ["parked again"] * events

    def came_back(self, kind: str, late_seconds: float) -> None:
        self.lateness.append((kind, late_seconds))

    def blocked(self, _: str, failure: Failure) -> None:
        self.told.append("block")

    def unblocked(self, _: str) -> None:
        self.told.append("unblocked")


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
