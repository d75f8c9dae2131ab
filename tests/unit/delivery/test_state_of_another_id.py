"""The state is asked by the state id of an integration, and not by its id."""

from __future__ import annotations

import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import SHOP, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.integrations.model import Integration

RENAMED = integration(id="renamed", limits={"profile_gap_seconds": 0}).with_state_id(SHOP.id)
ANOTHER = integration(id="another", limits={"profile_gap_seconds": 0})


@pytest.mark.parametrize(("shop", "outcome"), [(RENAMED, "superseded"), (ANOTHER, "delivered")])
@in_virtual_time
async def test_an_older_choice_meets_what_was_sent_under_the_former_id(
    shop: Integration, outcome: str
) -> None:
    adobe, store = Adobe(), Store()
    former = Worker(adobe, store)
    await former.take(body("e1", ago=60))
    present = Worker(adobe, store, shop=shop)
    await present.take(body("e2", ago=120, enabled=False))
    assert (former.told, present.told) == (["delivered"], [outcome])


@in_virtual_time
async def test_what_waits_while_the_state_id_changes_is_asked_for_anew() -> None:
    adobe = Adobe()
    worker = Worker(adobe, Store())
    adobe.answers.clear()
    await worker.take(body("e1"))
    await worker.take(body("e2", ago=30, enabled=False))
    worker.shop = SHOP.with_state_id("shop~2")
    adobe.answers.set()
    await worker.take(body("e3", user="omar"))
    await after(GATHERED_SECONDS)
    assert sorted(worker.told) == ["delivered", "delivered", "parked"]
    assert worker.latest.headers["consent-integration"] == SHOP.id
    await worker.take(worker.latest.body, worker.latest.headers)
    assert worker.told[3:] == ["delivered"]
    await worker.take(body("e4", ago=40))
    assert worker.told[4:] == ["superseded"], "by the stamp of the new state"
