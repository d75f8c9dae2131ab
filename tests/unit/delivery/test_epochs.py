"""A loss of the state: what carries its epoch, who notices, and what a lie can do."""

from __future__ import annotations

from typing import Any

import pytest
from pamqp.commands import Basic
from structlog.testing import capture_logs

from tests.unit.delivery.keeper import Keeper
from tests.unit.delivery.parts import GATHERED_SECONDS, Hand, Store
from tests.unit.delivery.pipeline_parts import Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time, quiet
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.broker.headers import BUNDLE, DEAD_REASON, EPOCH, REPEAT, RETURNS, SERVED
from worker.delivery.bundles.bundle_format import pack, unpack
from worker.delivery.rounds.epoch_watch import EpochWatch
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import ErrorCode
from worker.wire.frames import encode_content_header

FIRST, SECOND, THIRD, FORGED = "1" * 16, "2" * 16, "3" * 16, "f" * 16
AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
UNCLEAR = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 504", 504, is_unclear=True)
PAUSED = integration(paused=True)


class Fleet:
    """A worker with a store that has epochs; its messages come by any queue."""

    def __init__(self, **changes: Any) -> None:
        self.keeper = Keeper(FIRST)
        self.store = Store()
        self.store.epochs = self.keeper
        self.adobe = Adobe()
        self.worker = Worker(self.adobe, self.store, **changes)
        self.hands = {
            name: Hand(f"consent.{name}")
            for name in ("events", "events.2", "retries", "parked", "suspects")
        }
        for hand in self.hands.values():
            hand.host = self.worker.hand.host

    async def take(self, queue: str, content: bytes, headers: dict[str, Any] | None = None) -> None:
        message = self.hands[queue].message(content, headers)
        self.worker.pipeline.handle(message)
        await after(GATHERED_SECONDS)

    async def look(self) -> None:
        """As at the start, and on each watch."""
        await self.worker.gate.check()

    @property
    def headers(self) -> dict[str, Any]:
        """Of what was published last."""
        return self.worker.latest.headers


async def fleet(**changes: Any) -> Fleet:
    made = Fleet(**changes)
    await made.look()
    return made


# What carries the epoch


@in_virtual_time
async def test_a_retry_carries_the_epoch_and_keeps_it_for_life() -> None:
    shop = await fleet()
    shop.adobe.reply = AWAY
    await shop.take("events", body("e1"))
    retry = shop.worker.latest
    assert retry.headers[EPOCH] == FIRST
    shop.keeper.lose(SECOND)
    await shop.look()
    await shop.take("retries", retry.body, retry.headers)
    assert shop.headers[EPOCH] == FIRST, "it was met under the state that is lost"
    await shop.take("events", b"{")
    assert shop.headers[EPOCH] == SECOND


@pytest.mark.parametrize("met", [FIRST, None])
@in_virtual_time
async def test_a_repeat_names_the_epoch_of_its_event_or_the_present_one(met: str | None) -> None:
    shop = await fleet() if met else Fleet()
    shop.adobe.reply = UNCLEAR
    await shop.take("events", body("old", ago=60))
    shop.adobe.reply = Accepted("x")
    shop.adobe.answers.clear()
    await shop.take("events", body("new", ago=40))
    if met:
        shop.keeper.lose(SECOND)
    else:  # met before anybody could ask the store
        shop.keeper.next_epoch = SECOND
    await shop.look()
    shop.adobe.answers.set()
    await after(2)
    assert shop.headers[REPEAT] == 1
    assert shop.headers[EPOCH] == (met or SECOND)


@in_virtual_time
async def test_what_is_in_hand_when_the_state_is_lost_is_of_before() -> None:
    shop = await fleet()
    shop.adobe.reply = AWAY
    shop.adobe.answers.clear()
    await shop.take("events", body("e1"))
    await shop.take("events", body("e2"), {"traceparent": "x"})
    shop.keeper.lose(SECOND)
    await shop.look()
    shop.adobe.answers.set()
    await after(1)
    published = shop.worker.hand.host.published
    assert [one.headers[EPOCH] for one in published] == [FIRST, FIRST]


@in_virtual_time
async def test_parked_events_and_their_bundle_carry_it() -> None:
    shop = await fleet(shop=PAUSED)
    for number in range(2):
        shop.worker.pipeline.handle(shop.hands["events"].message(body(f"e{number}", user="u")))
    await after(GATHERED_SECONDS)
    bundle = shop.worker.latest
    assert (bundle.headers[BUNDLE], bundle.headers[EPOCH]) == (2, FIRST)
    shop.keeper.lose(SECOND)
    await shop.look()
    await shop.take("parked", bundle.body, bundle.headers)
    assert shop.worker.told[2:] == ["parked again"] * 2
    assert shop.headers[EPOCH] == FIRST
    shop.worker.shop = integration(limits={"profile_gap_seconds": 0})
    shop.adobe.reply = AWAY
    await shop.take("parked", bundle.body, bundle.headers)
    assert shop.headers[EPOCH] == FIRST, "each event in it has its own"
    assert SECOND not in {one.headers[EPOCH] for one in shop.worker.hand.host.published}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        pytest.param(body("e1"), {}, id="refused by Adobe"),
        pytest.param(b"{", {}, id="no event"),
        pytest.param(body("e1"), {SERVED: "shop"}, id="wrong headers"),
    ],
)
@in_virtual_time
async def test_dead_letters_carry_it(content: bytes, headers: dict[str, Any]) -> None:
    shop = await fleet()
    shop.adobe.reply = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400, fault="message")
    await shop.take("events", content, headers)
    assert DEAD_REASON in shop.headers
    assert shop.headers[EPOCH] == FIRST
    shop.keeper.lose(SECOND)
    await shop.look()
    await shop.take("retries", content, headers | {EPOCH: FIRST})
    assert shop.headers[EPOCH] == FIRST


@in_virtual_time
async def test_without_an_epoch_nothing_is_written() -> None:
    """A store in memory has none; one that is away at the start tells it later."""
    shop = Fleet()
    shop.adobe.reply = AWAY
    await shop.take("events", body("e1"))
    retry = shop.worker.latest
    assert EPOCH not in retry.headers
    await shop.look()
    await shop.take("retries", retry.body, retry.headers)
    assert shop.headers[EPOCH] == FIRST, "it is of a version before, or of that moment"
    assert shop.keeper.open_epochs == set()


# Who notices


@in_virtual_time
async def test_a_first_start_is_silent() -> None:
    with capture_logs() as lines:
        shop = await fleet()
        await shop.look()
    assert lines == []
    assert shop.worker.gate.epochs.problem == ""


@in_virtual_time
async def test_a_store_with_another_epoch_than_a_moment_ago_was_lost_and_is_told_once() -> None:
    shop = await fleet()
    shop.keeper.lose(SECOND)
    with capture_logs() as lines:
        await shop.look()
        await shop.look()
    assert [(one["event"], one["log_level"]) for one in lines] == [("ordering.state_lost", "error")]
    assert "2027-01-15T08:00:00Z" in lines[0]["detail"]
    assert "docs/runbooks/state-lost.md" in shop.worker.gate.epochs.problem
    assert shop.keeper.open_epochs == {FIRST}
    shop.keeper.lose(THIRD)
    with capture_logs() as lines:
        await shop.look()
    assert [one["event"] for one in lines] == ["ordering.state_lost"], "another loss"
    assert shop.worker.gate.is_open, "deliveries go on"


@in_virtual_time
async def test_a_message_that_comes_back_with_another_epoch_shows_a_loss_of_before() -> None:
    for queue in ("retries", "parked", "suspects"):
        shop = await fleet()
        await shop.take(queue, body("e1"), {EPOCH: SECOND})
        with capture_logs() as lines:
            await shop.look()
        assert [one["event"] for one in lines] == ["ordering.state_lost"], queue
        assert shop.keeper.open_epochs == {SECOND}
        assert shop.worker.told == ["delivered"]


@in_virtual_time
async def test_a_bundle_that_stays_shut_shows_it_as_well() -> None:
    shop = await fleet(shop=PAUSED)
    event = encode_content_header(Basic.Properties(), len(body("e1"))), body("e1")
    headers = {BUNDLE: 1, "consent-integration": "shop", EPOCH: SECOND}
    await shop.take("parked", pack([event]), headers)
    assert shop.worker.told == ["parked again"]
    await shop.look()
    assert shop.keeper.open_epochs == {SECOND}


@in_virtual_time
async def test_the_end_is_told_once_and_a_known_epoch_raises_no_second_alarm() -> None:
    shop = await fleet()
    await shop.take("retries", body("e1"), {EPOCH: SECOND})
    await shop.look()
    shop.keeper.accept({SECOND})
    with capture_logs() as lines:
        await shop.look()
        await shop.take("retries", body("e2"), {EPOCH: SECOND})
        await shop.look()
    assert [one["event"] for one in lines] == ["ordering.state_accepted"]
    assert shop.worker.gate.epochs.problem == ""
    assert shop.keeper.told[-1] == {FIRST}, "what is known is not told again"


@in_virtual_time
async def test_a_worker_that_starts_while_a_loss_is_open_tells_of_it() -> None:
    shop = await fleet()
    shop.keeper.lose(SECOND)
    await shop.look()
    other = EpochWatch(shop.keeper)
    with capture_logs() as lines:
        await other.look()
    assert [one["event"] for one in lines] == ["ordering.state_lost"]


@in_virtual_time
async def test_what_was_met_while_the_store_was_away_or_at_the_end_is_not_forgotten() -> None:
    shop = await fleet()
    shop.keeper.away = True
    await shop.take("retries", body("e1"), {EPOCH: SECOND})
    await shop.look()
    assert not shop.worker.gate.is_open
    shop.keeper.away = False
    await after(1)
    assert shop.worker.gate.is_open
    assert shop.keeper.open_epochs == {SECOND}
    await shop.take("retries", body("e2"), {EPOCH: THIRD})
    await shop.worker.gate.stop()
    assert shop.keeper.open_epochs == {SECOND, THIRD}
    assert shop.store.is_closed


@in_virtual_time
async def test_a_stop_outlives_a_store_that_is_away() -> None:
    shop = await fleet()
    await shop.take("retries", body("e1"), {EPOCH: SECOND})
    shop.keeper.away = True
    await shop.worker.gate.stop()
    assert shop.store.is_closed
    with pytest.raises(StoreUnavailable):
        await shop.worker.gate.epochs.look()


# What a lie can do


@pytest.mark.parametrize("queue", ["events", "events.2"])
@pytest.mark.parametrize("returns", [0, 2])
@in_virtual_time
async def test_an_epoch_that_a_producer_writes_counts_for_nothing(returns: int, queue: str) -> None:
    shop = await fleet()
    shop.adobe.reply = AWAY
    headers = {EPOCH: FORGED, "traceparent": "x"} | ({RETURNS: returns} if returns else {})
    await shop.take(queue, body("e1"), headers)
    assert shop.headers.get(EPOCH) in (FIRST, None)
    assert shop.headers["traceparent"] == "x"
    await shop.take("suspects" if returns else "retries", body("e1"), shop.headers)
    await shop.look()
    assert shop.keeper.open_epochs == set()


@in_virtual_time
async def test_nor_does_that_of_a_bundle_that_a_producer_has_packed() -> None:
    shop = await fleet()
    shop.adobe.reply = AWAY
    properties = Basic.Properties(headers={EPOCH: FORGED})
    event = encode_content_header(properties, len(body("e1"))), body("e1")
    await shop.take("events", pack([event]), {BUNDLE: 1, EPOCH: FORGED})
    await after(1)
    assert shop.headers[EPOCH] == FIRST
    await shop.take("events", b"no bundle", {BUNDLE: 1, EPOCH: FORGED})
    assert (shop.headers[DEAD_REASON], shop.headers[EPOCH]) == ("invalid-headers", FIRST)
    await shop.look()
    assert shop.keeper.open_epochs == set()
    assert unpack(pack([event])) == [event]


@in_virtual_time
async def test_a_fault_of_ours_buries_with_the_epoch_that_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = await fleet()
    monkeypatch.setattr("worker.delivery.event_decisions.open_envelope", None)
    await shop.take("events", body("e1"), {EPOCH: FORGED})
    assert (shop.headers[DEAD_REASON], shop.headers[EPOCH]) == ("unexpected-error", FIRST)
    await shop.take("retries", body("e1"), {EPOCH: SECOND})
    assert shop.headers[EPOCH] == SECOND


@in_virtual_time
async def test_a_thousand_forged_epochs_are_one_line_and_sixteen_names() -> None:
    shop = await fleet()
    shop.adobe.reply = Accepted("x")
    with capture_logs() as lines:
        for number in range(1000):
            shop.worker.pipeline.handle(
                shop.hands["retries"].message(body(f"e{number}"), {EPOCH: f"{number:016x}"})
            )
            if number % 100 == 99:
                await quiet()
                await shop.look()
    assert len([one for one in lines if one["event"] == "ordering.state_lost"]) == 1
    assert max(len(one) for one in shop.keeper.told) <= 17
    assert len(shop.keeper.open_epochs) == 16


# What waits for the end of a loss


@in_virtual_time
async def test_an_end_of_the_loss_ends_the_block_for_it_at_once_and_no_other_block() -> None:
    for error, ends in ((ErrorCode.STATE_LOST, True), (ErrorCode.TOKEN_REFUSED, False)):
        shop = await fleet()
        shop.keeper.lose(SECOND)
        await shop.look()
        shop.adobe.reply = Retryable(error, "")
        await shop.take("events", body("e1"))
        assert shop.worker.told == ["block", "parked"]
        shop.adobe.reply = Accepted("x")
        shop.keeper.accept([FIRST])
        await shop.look()
        await shop.take("events", body("e2"))
        expected = ["unblocked", "delivered"] if ends else ["parked"]
        assert shop.worker.told[2:] == expected
