"""A worker dies in the midst of a request with a snapshot: nobody knows what Adobe has of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.delivery.parts import Store
from tests.unit.delivery.pipeline_parts import NOON, Adobe, Worker
from tests.unit.delivery.records import snapshot
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Retryable
from worker.broker.headers import REPEAT, RETURNED
from worker.broker.retry_state import FRESH, RetryState, read_retry_state, write_retry_state
from worker.ordering.store_protocol import Claim, Granted
from worker.reasons import ErrorCode

ABSENT = [
    {"id": f"_acme.{name}", "value": f"consents_purposes_{name}_enabled", "absent": False}
    for name in ("news", "offers")
]
OLDER, NEWER = snapshot(10, news=True), snapshot(20)
GATEWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 504", 504, is_unclear=True)
RETURNED_ONCE = {"x-delivery-count": 1}


def a_worker(adobe: Adobe, store: Store | None = None) -> Worker:
    shop = integration(
        events="user", payload_mode="upsert", mappings=ABSENT, limits={"profile_gap_seconds": 0}
    )
    return Worker(adobe, Store() if store is None else store, shop=shop)


def handed_over(worker: Worker) -> dict[str, Any]:
    """The headers of what was published while its first request had no answer."""
    now_ms = round(NOON * 1000)
    return write_retry_state(RetryState(worker.shop.id, 1, now_ms, is_handed_over=True))


@in_virtual_time
async def test_what_it_may_have_set_is_taken_back_though_the_newer_snapshot_came_first() -> None:
    adobe = Adobe()
    worker = a_worker(adobe)
    await worker.take(NEWER)
    assert (worker.told, adobe.records) == (["emptied"], []), "nothing was known to take back"
    await worker.take(OLDER, RETURNED_ONCE)
    assert adobe.records == [{"news": False}]
    await worker.take(OLDER, RETURNED_ONCE)
    assert (worker.told, adobe.asked) == (["emptied", "superseded", "superseded"], 1)


@in_virtual_time
async def test_one_that_comes_late_and_was_with_nobody_is_superseded_as_it_is() -> None:
    adobe = Adobe()
    worker = a_worker(adobe)
    await worker.take(NEWER)
    await worker.take(OLDER)
    assert (worker.told, adobe.asked) == (["emptied", "superseded"], 0)


@in_virtual_time
async def test_that_it_was_returned_is_known_after_it_was_parked() -> None:
    """As it mostly is: the lease of the dead worker still holds."""
    adobe, store = Adobe(), Store()
    worker = a_worker(adobe, store)
    await worker.take(NEWER)
    state_id, _, user = next(iter(store._users)).partition("\0")
    (lease,) = await store.begin(state_id, [Claim(user, ())])
    assert isinstance(lease, Granted)
    await worker.take(OLDER, RETURNED_ONCE)
    await after(5)
    parked = worker.latest
    assert parked.headers[RETURNED] == 1
    await after(120)
    await worker.take(parked.body, parked.headers)
    assert adobe.records == [{"news": False}]


@in_virtual_time
async def test_while_that_fails_the_older_one_is_tried_again() -> None:
    adobe = Adobe()
    worker = a_worker(adobe)
    await worker.take(NEWER)
    adobe.reply = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "away", 503)
    await worker.take(OLDER, RETURNED_ONCE)
    assert worker.told[-1].startswith("retried")
    adobe.reply = Accepted("x")
    await after(60)
    again = worker.latest
    await worker.take(again.body, again.headers)
    assert adobe.records == [{"news": False}]


@pytest.mark.parametrize("said", [{RETURNED: 1}, {}])
def test_the_header_says_whether_it_was_returned(said: dict[str, Any]) -> None:
    state = read_retry_state(said, 0)
    assert (state.was_returned, state.may_be_at_adobe) == (bool(said), bool(said))
    assert write_retry_state(state) == said
    assert write_retry_state(FRESH) == {}


@in_virtual_time
async def test_a_copy_of_what_was_only_emptied_was_not_delivered_late() -> None:
    """Two copies of a snapshot without a choice are handed over; nothing was known to take back."""
    worker = a_worker(Adobe())
    for _ in range(2):
        await worker.take(NEWER, handed_over(worker))
    assert worker.told == ["emptied", "emptied"]


@in_virtual_time
async def test_a_copy_of_what_took_choices_back_was_delivered_late() -> None:
    adobe = Adobe()
    worker = a_worker(adobe)
    await worker.take(OLDER)
    await worker.take(NEWER)
    assert adobe.records == [{"news": True}, {"news": False}]
    await worker.take(NEWER, handed_over(worker))
    assert worker.told == ["delivered"] * 3


@in_virtual_time
@pytest.mark.parametrize("other", [{}, {"news": False}])
async def test_what_an_unclear_snapshot_had_said_is_taken_back_again_after_it(
    other: dict[str, bool],
) -> None:
    """It has no answer, a newer one takes everything back, and then it is carried out late. What
    another device has said long before makes no difference.
    """
    adobe = Adobe()
    worker = a_worker(adobe)
    if other:
        await worker.take(snapshot(5, "tablet", **other))
    adobe.reply = GATEWAY
    await worker.take(OLDER)
    retries = [worker.latest]
    adobe.reply = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "away", 503)
    await worker.take(NEWER)
    if worker.told[-1] != "emptied":
        retries.append(worker.latest)
    adobe.reply = Accepted("x")
    await after(20)
    for one in retries:
        worker.pipeline.handle(worker.hand.message(one.body, one.headers))
    await after(1.1)
    assert adobe.records[-1] == {"news": False}
    repeat = worker.latest
    assert repeat.headers[REPEAT] == 1
    await after(180)
    adobe.reply = GATEWAY
    await worker.take(repeat.body, repeat.headers)
    adobe.reply = Accepted("x")
    retry = worker.latest
    await after(20)
    await worker.take(retry.body, retry.headers)
    assert adobe.records[-2:] == [{"news": False}] * 2
    assert worker.latest is retry, "a repeat that is unclear itself is not repeated for ever"


@in_virtual_time
async def test_a_whole_record_undoes_what_a_worker_that_died_had_set() -> None:
    """Also where the newer snapshot changed nothing that was known, and another device has said
    something.
    """
    adobe = Adobe()
    shop = integration(
        events="user", payload_mode="xdm", mappings=ABSENT, limits={"profile_gap_seconds": 0}
    )
    worker = Worker(adobe, Store(), shop=shop)
    await worker.take(snapshot(5, "tablet", offers=True))
    await worker.take(NEWER)
    sent = len(adobe.records)
    await worker.take(OLDER, RETURNED_ONCE)
    assert adobe.records[sent:] == [{"offers": True}]
    assert worker.told[-1] == "superseded"


@in_virtual_time
@pytest.mark.parametrize("order", [(True, False), (False, True)])
@pytest.mark.parametrize("mode", ["upsert", "xdm"])
async def test_of_two_snapshots_of_one_moment_and_version_the_refusal_wins(
    order: tuple[bool, bool], mode: str
) -> None:
    adobe = Adobe()
    shop = integration(
        events="user", payload_mode=mode, mappings=ABSENT, limits={"profile_gap_seconds": 0}
    )
    worker = Worker(adobe, Store(), shop=shop)
    for news in order:
        await worker.take(snapshot(10, news=news, offers=True))
    assert adobe.records[-1]["news"] is False
    sent = len(adobe.records)
    await worker.take(snapshot(10, news=False, offers=True))
    assert (len(adobe.records), worker.told[-1]) == (sent, "duplicate")


@in_virtual_time
async def test_a_mapping_that_is_new_gets_its_value_of_the_same_snapshot() -> None:
    adobe = Adobe()
    worker = a_worker(adobe)
    both = worker.shop
    worker.shop = integration(
        events="user",
        payload_mode="upsert",
        mappings=ABSENT[:1],
        limits={"profile_gap_seconds": 0},
    )
    said = snapshot(10, news=True, offers=False)
    await worker.take(said)
    worker.shop = both
    await worker.take(said)
    assert adobe.records == [{"news": True}, {"offers": False}]


@in_virtual_time
async def test_a_later_mark_does_not_hide_what_is_unclear_since_before_it() -> None:
    adobe = Adobe()
    adobe.reply = GATEWAY
    worker = a_worker(adobe)
    await worker.take(OLDER)
    await after(300)
    await worker.take(snapshot(30, "tablet", offers=True))
    adobe.reply = Accepted("x")
    await after(60)
    await worker.take(NEWER)
    assert adobe.records == [{"news": False}], "of the older one, whose request is long over"


@in_virtual_time
async def test_a_whole_record_without_an_answer_is_one_though_the_form_changes_meanwhile() -> None:
    """It may come late, and takes back what an older choice has said, as no message does."""
    adobe = Adobe()
    adobe.reply = GATEWAY
    worker = a_worker(adobe)
    messages = worker.shop
    worker.shop = integration(
        events="user", payload_mode="xdm", mappings=ABSENT, limits={"profile_gap_seconds": 0}
    )
    await worker.take(OLDER)
    worker.shop = messages
    adobe.reply = Accepted("x")
    await after(60)
    await worker.take(snapshot(5, "tablet", offers=True))
    assert worker.latest.headers[REPEAT] == 1
