"""Whole records of one person, of which Adobe refuses one: each follows the other after a gap."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.unit.delivery.lane_parts import OK, Bench
from tests.unit.delivery.parts import Store
from tests.unit.delivery.pipeline_parts import Adobe, Worker
from tests.unit.delivery.records import MAPPINGS, choice
from tests.unit.delivery.virtual_time import after, in_virtual_time, now, quiet
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.delivery.rounds.round_results import Untried
from worker.integrations.model import Integration
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import ErrorCode

GAP = 1.0
WHOLE = integration(limits={"profile_gap_seconds": GAP}, mappings=MAPPINGS).model_copy(
    update={"payload_mode": "xdm", "dataset_starts_empty": True}
)
FIRST, SOUND, BAD, NEWEST = (
    choice(1, news=True),
    choice(10, sms=True),
    choice(20, offers=True),
    choice(30, news=False),
)


class Picky(Adobe):
    """Refuses a request with a record that wants offers; keeps when it has accepted one."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted_at: list[float] = []

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        if any(one.record["_acme"].get("offers") for one in messages):
            self.asked += 1
            await self.answers.wait()
            return Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)
        replies = await super().send(integration, messages)
        self.accepted_at.append(now())
        return replies


async def together(worker: Worker, adobe: Picky, *bodies: bytes) -> None:
    """Lena's `FIRST` choice, and others that wait for the gap after it, and go as one message."""
    await worker.take(FIRST)
    assert worker.told == ["delivered"]
    for one in bodies:
        await worker.take(one)
    assert adobe.asked == 1


@in_virtual_time
async def test_each_record_that_is_accepted_is_followed_by_a_gap_and_none_is_sent_twice() -> None:
    adobe = Picky()
    worker = Worker(adobe, Store(), shop=WHOLE)
    await together(worker, adobe, SOUND, BAD, NEWEST)
    await after(10)
    assert worker.told == ["delivered", "delivered", "dead", "delivered"]
    assert adobe.records == [{"news": True}, {"news": False}, {"news": False, "sms": True}]
    first, second, third = adobe.accepted_at
    assert second - first >= GAP
    assert third - second >= GAP
    assert worker.hand.in_hand == 0


@in_virtual_time
async def test_of_merging_messages_none_waits() -> None:
    """No two of them speak of the same attribute."""
    merging = integration(limits={"profile_gap_seconds": GAP}, mappings=MAPPINGS)
    adobe = Picky()
    worker = Worker(adobe, Store(), shop=merging)
    await together(worker, adobe, SOUND, BAD, NEWEST)
    await after(10)
    assert adobe.records == [{"news": True}, {"news": False}, {"sms": True}]
    assert adobe.accepted_at[1] == adobe.accepted_at[2]


@in_virtual_time
async def test_what_was_handed_over_is_left_to_its_copy() -> None:
    adobe = Picky()
    worker = Worker(adobe, Store(), shop=WHOLE)
    await together(worker, adobe, BAD, NEWEST)
    adobe.answers.clear()
    await after(10)
    assert worker.told == ["delivered", "retried", "retried"]
    assert worker.hand.in_hand == 0
    adobe.answers.set()
    await after(10)
    assert worker.told[3:] == ["accepted late"]
    assert adobe.asked == 3, "the first one, both together, and the newest alone"
    for copy in list(worker.hand.host.published):
        await worker.take(copy.body, copy.headers)
    await after(10)
    assert sorted(worker.told[4:]) == ["dead", "delivered"]
    assert adobe.records == [{"news": True}, {"news": False}]


@pytest.mark.parametrize("was_sent", [True, False], ids=["seen by Adobe", "not seen"])
@in_virtual_time
async def test_what_adobe_has_seen_with_others_is_begun_and_not_given_up_for_want_of_room(
    was_sent: bool,
) -> None:
    bench = Bench(profile_gap_seconds=5)
    newest, waits = await bench.offer("lena", "lena")
    newest.was_sent, waits.was_sent = True, was_sent
    bench.rounds.latest.end.set_result([(newest, OK), (waits, Untried())])
    await quiet()
    given_up = bench.give_up_surplus(0)
    assert given_up == ([] if was_sent else [waits])
    assert bench.lane.held == len([waits]) - len(given_up)
    await after(6)
    assert [one.deliveries for one in bench.rounds.under_way] == ([[waits]] if was_sent else [])


@pytest.mark.parametrize("end", ["waits", "state away"])
@in_virtual_time
async def test_what_was_handed_over_meanwhile_does_not_wait_as_well(end: str) -> None:
    """It would live twice, and be done twice, of which the second was another delivery's."""
    bench = Bench(profile_gap_seconds=5)
    newest, waits = await bench.offer("lena", "lena")
    newest.was_sent, waits.was_sent = True, True
    await after(4)
    assert bench.handed_over == [newest, waits]
    answer = bench.rounds.latest.end
    if end == "waits":
        answer.set_result([(newest, OK), (waits, Untried())])
    else:
        answer.set_exception(StoreUnavailable("away"))
    await quiet()
    await after(20)
    assert bench.lane.held == 0
    assert bench.rounds.under_way == []
    assert bench.handed_over == [newest, waits]
    assert await bench.offer("lena"), "and who comes next waits for nobody"
