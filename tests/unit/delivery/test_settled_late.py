"""What Adobe accepted, and what could be settled only after its lease had run out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.unit.delivery.parts import Hand, Store, event
from tests.unit.delivery.virtual_time import after, in_virtual_time, now
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Duplicate, Result
from worker.delivery.rounds.round_runner import AdobeRounds
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.reasons import ErrorCode

SHOP = integration(
    limits={"profile_gap_seconds": 0},
    mappings=[
        {"id": f"_acme.{one}", "value": f"consents_purposes_{one}_enabled"}
        for one in ("news", "offers")
    ],
)
OK = Accepted("1:2:3")
REFUSED = Permanent(ErrorCode.ADOBE_REJECTED, "", 400, fault="message")
LEASE_SECONDS = 60.0


class TwoWorkers:
    """With one store and one profile at Adobe, which keeps what it was sent last."""

    def __init__(self) -> None:
        self.store = Store(LEASE_SECONDS)
        self.hand = Hand()
        self.profile: dict[str, Any] = {}
        self.once_sent: Callable[[], None] = lambda: None
        self.refuses_several = False
        self.first, self.second = (
            AdobeRounds(self, StoreGate(self.store), 30, 120, clock=now) for _ in range(2)
        )

    async def look_up(self, *_: object) -> None:
        raise AssertionError("nothing is to be looked up")

    async def look_up_record(self, *_: object) -> Retryable:
        raise AssertionError("no record is to be looked up")

    async def send(
        self, _: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        for message in messages:
            said = message.record["_acme"]
            if self.refuses_several and len(said) > 1:
                return REFUSED
            self.profile.update(said)
        self.once_sent()
        return [OK] * len(messages)

    def event(self, minute: int, **purposes: Any) -> Delivery:
        return event(self.hand, SHOP, minute=minute, **purposes)

    def again(self, delivery: Delivery, state: RetryState) -> Delivery:
        """The copy of a delivery that comes back."""
        one = delivery
        return Delivery(one.message, state, one.integration, one.choice, one.user)

    async def deliver(self, worker: AdobeRounds, *group: Delivery) -> list[Result]:
        results = await worker.deliver(SHOP, [list(group)], RequestSlots(8))
        return [result for _, result in results]

    async def settle_late(self, *group: Delivery) -> None:
        """The first worker delivers a group; the state is away for it until after the lease, when
        the second one has delivered an older choice.
        """

        def cut_off() -> None:
            self.store.away["settle"], self.store.away["ping"] = 1, 1000

        self.once_sent = cut_off
        delivering = asyncio.create_task(self.deliver(self.first, *group))
        await after(LEASE_SECONDS + 1)
        self.once_sent = lambda: None
        older = self.event(5, news=True)
        assert await self.deliver(self.second, older) == [OK]
        assert self.profile["news"] is True, "which is why it must be sent again"
        self.store.away["ping"] = 0
        assert set(await delivering) == {OK}


@in_virtual_time
async def test_it_is_sent_again_when_nobody_can_be_sending_an_older_choice_any_more() -> None:
    workers = TwoWorkers()
    newest = workers.event(9, news=False)
    await workers.settle_late(newest)
    assert newest.repeat_seconds == pytest.approx(LEASE_SECONDS, abs=2)
    await after(newest.repeat_seconds or 0)
    repeat = workers.again(newest, RetryState(SHOP.id, is_repeat=True))
    assert await workers.deliver(workers.second, repeat) == [OK]
    assert workers.profile == {"news": False}
    assert repeat.repeat_seconds is None, "once is enough"


@in_virtual_time
async def test_a_copy_of_it_that_was_handed_over_is_the_reason_for_a_repeat_as_well() -> None:
    """Its worker may have died before it could publish the repeat itself."""
    workers = TwoWorkers()
    newest = workers.event(9, news=False)
    await workers.settle_late(newest)
    copy = workers.again(newest, RetryState(SHOP.id, attempts_made=1, is_handed_over=True))
    assert await workers.deliver(workers.second, copy) == [Duplicate()]
    assert copy.repeat_seconds is not None


@in_virtual_time
async def test_what_is_accepted_until_then_is_sent_again_as_well() -> None:
    """An older choice, begun before the newest one was settled, may overwrite that, too."""
    workers = TwoWorkers()
    await workers.settle_late(workers.event(9, news=False))
    later = workers.event(12, news=True)
    await workers.deliver(workers.second, later)
    assert later.repeat_seconds is not None
    await after(LEASE_SECONDS)
    last = workers.event(15, news=False)
    await workers.deliver(workers.second, last)
    assert last.repeat_seconds is None


@in_virtual_time
async def test_it_holds_for_the_parts_of_a_message_that_was_taken_apart() -> None:
    workers = TwoWorkers()
    workers.refuses_several = True
    newest, other = workers.event(9, news=False), workers.event(8, offers=True)
    await workers.settle_late(other, newest)
    assert newest.repeat_seconds is not None
    assert other.repeat_seconds is not None


@in_virtual_time
@pytest.mark.parametrize("away_seconds", [0, 20])
async def test_what_is_settled_within_its_lease_is_sent_once(away_seconds: float) -> None:
    workers = TwoWorkers()
    workers.store.away["settle"] = 1 if away_seconds else 0
    workers.store.away["ping"] = 1000 if away_seconds else 0
    newest = workers.event(9, news=False)
    delivering = asyncio.create_task(workers.deliver(workers.first, newest))
    await after(away_seconds)
    workers.store.away["ping"] = 0
    assert await delivering == [OK]
    assert newest.repeat_seconds is None
