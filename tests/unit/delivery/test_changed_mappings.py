"""What waits for its request while the mappings of its integration change."""

from __future__ import annotations

import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import SHOP, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.integrations.model import Integration

NEWS = "consents_purposes_news_enabled"
NO_GAP = {"profile_gap_seconds": 0}
INSIDE = integration(
    limits=NO_GAP, mappings=[{"id": "_acme.news.val", "value": NEWS, "format": "y-n"}]
)
BESIDE = integration(limits=NO_GAP, mappings=[{"id": "_acme.letter", "value": NEWS}])


async def _worker_with_one_in_a_request_and_one_that_waits(adobe: Adobe) -> Worker:
    worker = Worker(adobe, Store())
    adobe.answers.clear()
    await worker.take(body("e1", ago=90))
    await worker.take(body("e2", ago=60, enabled=False))
    return worker


@pytest.mark.parametrize(
    ("changed", "record"), [(INSIDE, {"news": {"val": "n"}}), (BESIDE, {"letter": False})]
)
@in_virtual_time
async def test_it_is_decided_anew_and_sent_by_the_mappings_of_now(
    changed: Integration, record: object
) -> None:
    adobe = Adobe()
    worker = await _worker_with_one_in_a_request_and_one_that_waits(adobe)
    worker.shop = changed
    await worker.take(body("e3", ago=120))
    adobe.answers.set()
    await after(GATHERED_SECONDS)
    assert sorted(worker.told) == ["delivered", "delivered", "parked"]
    await worker.take(worker.latest.body, worker.latest.headers)
    assert worker.told[3:] == ["delivered"]
    assert adobe.records[-1] == record


@in_virtual_time
async def test_it_waits_on_where_only_other_things_change() -> None:
    adobe = Adobe()
    worker = await _worker_with_one_in_a_request_and_one_that_waits(adobe)
    worker.shop = SHOP.model_copy(update={"source_name": "Else"})
    await worker.take(body("omar", user="omar"))
    adobe.answers.set()
    await after(GATHERED_SECONDS)
    assert worker.told == ["delivered"] * 3
