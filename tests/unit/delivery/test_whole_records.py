"""Snapshots that replace the record at Adobe: the newest one wins entirely, never in part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tests.unit.examples import NOW_MS, integration
from worker.adobe.replies import Accepted
from worker.adobe.streaming import OutgoingMessage
from worker.broker.headers import FRESH
from worker.delivery.courier import Courier
from worker.delivery.delivery import Delivery
from worker.delivery.gate import StoreGate
from worker.delivery.result import Duplicate, Result, Superseded
from worker.delivery.slots import RequestSlots
from worker.events import open_envelope
from worker.integrations.model import Integration
from worker.ordering.memory import MemoryStore
from worker.ordering.store import Timing
from worker.transform.decide import decide
from worker.transform.decision import Deliver

REPLACING = integration(
    payload_mode="xdm",
    events="user",
    limits={"profile_gap_seconds": 0},
    mappings=[
        {"id": "_acme.news", "value": "consents_purposes_news_enabled"},
        {"id": "_acme.offers", "value": "consents_purposes_offers_enabled"},
    ],
)


class Adobe:
    """Accepts everything, and keeps the records."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    async def look_up(self, *_: object) -> None:
        raise AssertionError("nothing is to be looked up")

    async def send(self, _: Integration, messages: Sequence[OutgoingMessage]) -> list[Accepted]:
        self.records += [orjson.loads(one.body)["body"]["xdmEntity"]["_acme"] for one in messages]
        return [Accepted("x")] * len(messages)


def snapshot(updated_at: str, **purposes: bool | None) -> Delivery:
    entity = {
        "id": "user-1",
        "organization_id": "northwind",
        "organization_user_id": "lena@northwind.example",
        "created_at": "2025-01-01T00:00:00Z",
        "updated_at": updated_at,
        "consents": {
            "purposes": [{"id": name, "enabled": enabled} for name, enabled in purposes.items()]
        },
    }
    body = {"type": "user.updated", "parameters": {"new_entity": entity}}
    choice = decide(REPLACING, open_envelope(orjson.dumps(body)), NOW_MS)
    assert isinstance(choice, Deliver)
    return Delivery(None, FRESH, REPLACING, choice, "user")


OLDER = {"updated_at": "2026-01-01T00:00:00Z", "news": True, "offers": True}
NEWER = {"updated_at": "2026-02-01T00:00:00Z", "news": False, "offers": None}


@pytest.fixture
def adobe() -> Adobe:
    return Adobe()


@pytest.fixture
def courier(adobe: Adobe) -> Courier:
    return Courier(adobe, StoreGate(MemoryStore(Timing())), 5, 120)


async def test_an_older_snapshot_that_comes_late_is_superseded_as_a_whole(
    adobe: Adobe, courier: Courier
) -> None:
    results: list[Result] = []
    for one in (NEWER, OLDER, NEWER):
        [(_, result)] = await courier.deliver(REPLACING, [[snapshot(**one)]], RequestSlots(1))
        results.append(result)
    assert results == [Accepted("x"), Superseded(), Duplicate()]
    assert adobe.records == [{"news": False}]


async def test_snapshots_that_wait_together_are_not_mixed(adobe: Adobe, courier: Courier) -> None:
    older, newer = snapshot(**OLDER), snapshot(**NEWER)
    results = dict(await courier.deliver(REPLACING, [[older, newer]], RequestSlots(1)))
    assert results == {older: Superseded(), newer: Accepted("x")}
    assert adobe.records == [{"news": False}]
