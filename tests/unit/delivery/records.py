"""Messages that replace the record at Adobe: who says what, who sends it, and what Adobe has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tests.unit.delivery.parts import Hand
from tests.unit.examples import NOW_MS, event_document, integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.retry_state import FRESH, RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.event_decisions import EventDecisions
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Result
from worker.delivery.rounds.round_runner import AdobeRounds
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.ordering.sealed_values import Seals
from worker.ordering.store_protocol import NewestStore
from worker.ordering.user_digests import UserKeys

LENA = "lena@northwind.example"
MAPPINGS: list[dict[str, Any]] = [
    {"id": f"_acme.{name}", "value": f"consents_purposes_{name}_enabled"}
    for name in ("news", "offers", "sms")
]
BAGS = {"id": "_acme.bags", "value": "consents_purposes_shop_values_bags_value"}
NO_GAP = {"profile_gap_seconds": 0}
SNAPSHOTS = integration(payload_mode="xdm", events="user", limits=NO_GAP, mappings=MAPPINGS)


def completed(mappings: Sequence[dict[str, Any]] = (*MAPPINGS, BAGS)) -> Integration:
    """One of partial events whose messages are whole records."""
    partial = integration(limits=NO_GAP, mappings=list(mappings))
    return partial.model_copy(update={"payload_mode": "xdm", "dataset_starts_empty": True})


COMPLETED = completed()


class Adobe:
    """Answers with `reply`, while there is one, and accepts everything else; it keeps the records,
    and the last of them is what it has of Lena.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.replies: list[Retryable | Permanent] = []
        self.found: dict[str, Any] | Retryable = {}
        self.looked_up = 0

    @property
    def has(self) -> dict[str, Any]:
        return self.records[-1]

    async def look_up(self, *_: object) -> None:
        raise AssertionError("nothing is to be looked up")

    async def look_up_record(self, *_: object) -> dict[str, Any] | Retryable:
        """What it has of Lena in another dataset, or why that is not told."""
        self.looked_up += 1
        return self.found

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        if self.replies:
            return self.replies.pop(0)
        self.records += [one.record.get("_acme", {}) for one in messages]
        return [Accepted("x")] * len(messages)


class Worker:
    """Brings what Lena has chosen to `adobe`, in one round at a time."""

    def __init__(
        self,
        store: NewestStore,
        target: Integration = COMPLETED,
        *,
        secret: bytes = b"",
        previous: bytes | None = None,
        adobe: Adobe | None = None,
    ) -> None:
        self.target = target
        self.store = store
        self.keys = UserKeys(secret, previous)
        self.adobe = adobe or Adobe()
        gate, seals = StoreGate(store), Seals(secret, previous)
        self.gate = gate
        self.runner = AdobeRounds(self.adobe, gate, 5, 120, seals)

    async def take(self, *bodies: bytes, state: RetryState = FRESH) -> list[Result]:
        """What becomes of events that wait together."""
        deliveries = [self.delivery(one, state) for one in bodies]
        results = await self.runner.deliver(self.target, [deliveries], RequestSlots(1))
        found = dict(results)
        return [found[one] for one in deliveries]

    def delivery(self, body: bytes, state: RetryState = FRESH) -> Delivery:
        message, decisions = Hand().message(body), EventDecisions(self.keys, lambda *_: None)
        envelope = decisions.read(body)
        made = decisions.decide(message, state, envelope, self.target, NOW_MS, is_suspect=False)
        assert isinstance(made, Delivery), made
        return made


def choice(minute: int, *, bags: str | None = None, **purposes: bool) -> bytes:
    """An event that was made in that minute of an hour."""
    listed: list[dict[str, Any]] = [{"id": k, "enabled": v} for k, v in purposes.items()]
    if bags is not None:
        listed.append({"id": "shop", "values": {"bags": {"value": bags}}})
    return orjson.dumps(
        event_document(
            id=f"ev-{minute}",
            created_at=f"2026-03-02T08:{minute:02}:00Z",
            user={"id": "device", "organization_user_id": LENA},
            consents={"purposes": listed},
        )
    )


def snapshot(minute: int, user: str = "phone", **purposes: bool | None) -> bytes:
    """The status of a Didomi user in that minute of an hour."""
    entity = {
        "id": user,
        "organization_id": "northwind",
        "organization_user_id": LENA,
        "regulation": "gdpr",
        "version": minute,
        "created_at": "2025-01-01T00:00:00Z",
        "updated_at": f"2026-03-02T08:{minute:02}:00Z",
        "consents": {
            "purposes": [{"id": name, "enabled": enabled} for name, enabled in purposes.items()]
        },
    }
    return orjson.dumps({"type": "user.updated", "parameters": {"new_entity": entity}})
