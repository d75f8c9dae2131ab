"""The state is asked by the state id of an integration, and not by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from devtools.examples import integration_document
from tests.unit.delivery.keeper import Keeper
from tests.unit.delivery.parts import GATHERED_SECONDS, Store
from tests.unit.delivery.pipeline_parts import SHOP, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.integrations.coherence import Surroundings
from worker.integrations.model import Integration
from worker.ordering.store_protocol import Claim, Contended, Granted

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


COMPLETED = Integration.model_validate(
    integration_document(
        payload_mode="xdm", dataset_starts_empty=True, limits={"profile_gap_seconds": 0}
    ),
    context=Surroundings(has_lasting_state=True, has_secret=True),
)


class Held(Store):
    """Answers the first `begin` after `hold` only when it is `let_go`."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.is_held = False

    def hold(self) -> None:
        self.is_held = True

    async def begin(self, state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        if self.is_held:
            self.is_held = False
            await self.let_go.wait()
        return await super().begin(state_id, claims)


async def _comes_back_unsent(before: Integration, now: Integration, *, is_away: bool) -> Worker:
    """The round of an event of lena's asks the store while `now` comes into force, and either finds
    it away, or can't be told whether the state was lost. Where `now` has another state, that has a
    newer choice of hers.
    """
    adobe, store = Adobe(), Held()
    store.epochs = keeper = Keeper()
    if now.state_id != before.state_id:
        former = Worker(adobe, store, shop=now)
        await former.take(body("newer", ago=30, enabled=False))
        assert former.told == ["delivered"]
    worker = Worker(adobe, store, shop=before)
    store.hold()
    await worker.take(body("older", ago=60))
    worker.shop = now
    await worker.take(body("omar", user="omar"))
    await after(1)
    worker.told.clear()
    adobe.records.clear()
    store.away["begin"] = is_away
    keeper.away = not is_away
    store.let_go.set()
    await after(0.4)
    keeper.away = False
    await after(10)
    return worker


@pytest.mark.parametrize("is_away", [True, False])
@pytest.mark.parametrize(
    ("now", "end"),
    [
        (COMPLETED.with_state_id("shop~2"), "superseded"),
        (SHOP, "delivered"),
        (COMPLETED.model_copy(update={"paused": True}), "delivered"),
    ],
    ids=["state", "form", "pause"],
)
@in_virtual_time
async def test_what_comes_back_unsent_is_decided_anew_where_it_may_not_wait_on(
    now: Integration, end: str, *, is_away: bool
) -> None:
    worker = await _comes_back_unsent(COMPLETED, now, is_away=is_away)
    assert worker.told == ["parked"]
    worker.shop = now.model_copy(update={"paused": False})
    await worker.take(worker.latest.body, worker.latest.headers)
    await after(1)
    assert worker.told == ["parked", end]
    assert worker.hand.in_hand == 0


@pytest.mark.parametrize("is_away", [True, False])
@in_virtual_time
async def test_what_comes_back_unsent_waits_on_where_nothing_of_it_has_changed(
    *, is_away: bool
) -> None:
    limits: Any = COMPLETED.limits.model_copy(update={"requests_in_flight": 2})
    worker = await _comes_back_unsent(
        COMPLETED, COMPLETED.model_copy(update={"limits": limits}), is_away=is_away
    )
    assert worker.told == ["delivered"]
    assert worker.hand.in_hand == 0
