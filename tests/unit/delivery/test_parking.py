"""What finds no room in its lane: parked together, back together, and each event for itself."""

from __future__ import annotations

from typing import Any

from pamqp.commands import Basic

from tests.unit.delivery.parts import GATHERED_SECONDS, Published, Store
from tests.unit.delivery.pipeline_parts import Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time, now, quiet
from tests.unit.examples import integration
from worker.broker.headers import (
    ATTEMPTS,
    BUNDLE,
    DUE_AT,
    ELAPSED,
    FIRST_ATTEMPT_AT,
    INTEGRATION,
    PARKS,
    RETURNS,
)
from worker.delivery.bundles.bundle_format import pack, unpack
from worker.delivery.bundles.opening import events_of
from worker.wire.frames import encode_content_header

ROOM = 2
MANY = 25
"""Events of a bundle that is not small."""
SMALL_SHOP = integration(limits={"profile_gap_seconds": 0, "events_held": ROOM})


class Shop(Worker):
    """A worker with one integration, whose lane has room for two and is full."""

    def __init__(self) -> None:
        self.adobe = Adobe()
        super().__init__(self.adobe, Store(), shop=SMALL_SHOP)
        self.adobe.answers.clear()
        self._users = 0

    def come(self, count: int, **headers: int | str) -> None:
        """So many events of as many users."""
        for _ in range(count):
            self._users += 1
            event = body(f"e{self._users}", user=f"u{self._users}")
            self.pipeline.handle(self.hand.message(event, dict(headers) or None))

    async def full(self) -> Shop:
        self.come(ROOM)
        await after(0.01)
        assert (self.adobe.asked, self.published) == (1, [])
        return self

    async def empty(self) -> None:
        """Adobe answers again."""
        self.adobe.answers.set()
        await quiet()

    async def parked(self, count: int) -> Published:
        """The bundle of so many events that come together."""
        self.come(count)
        await after(GATHERED_SECONDS)
        return self.latest

    def come_back(self, parked: Published, **headers: int) -> None:
        self.pipeline.handle(self.hand.message(parked.body, parked.headers | headers))

    @property
    def published(self) -> list[Published]:
        return self.hand.host.published


@in_virtual_time
async def test_what_is_parked_within_a_moment_goes_in_one_message() -> None:
    shop = await Shop().full()
    bundle = await shop.parked(5)
    assert shop.told == ["parked"] * 5
    assert len(shop.published) == 1
    assert (bundle.headers[BUNDLE], bundle.headers[INTEGRATION]) == (5, "shop")
    assert bundle.exchange == "consent.delay"
    assert len(unpack(bundle.body)) == 5


@in_virtual_time
async def test_an_event_is_acknowledged_when_its_bundle_is_confirmed() -> None:
    shop = await Shop().full()
    shop.come(3)
    await after(0.15)
    assert shop.hand.acknowledged == []
    await after(0.1)
    assert shop.hand.acknowledged == [3, 4, 5]


@in_virtual_time
async def test_one_by_itself_can_be_read_by_who_looks_at_the_queue() -> None:
    shop = await Shop().full()
    parked = await shop.parked(1)
    assert BUNDLE not in parked.headers
    assert parked.body == body("e3", user="u3")
    assert parked.headers[PARKS] == 1


@in_virtual_time
async def test_a_bundle_that_comes_back_is_acknowledged_when_all_of_it_is_delivered() -> None:
    shop = await Shop().full()
    bundle = await shop.parked(ROOM)
    await shop.empty()
    assert shop.told.count("delivered") == ROOM
    shop.adobe.answers.clear()
    before = len(shop.hand.acknowledged)
    shop.come_back(bundle)
    await after(0.1)
    assert len(shop.hand.acknowledged) == before
    await shop.empty()
    assert shop.told.count("delivered") == 2 * ROOM
    assert len(shop.hand.acknowledged) == before + 1
    assert shop.hand.in_hand == 0


@in_virtual_time
async def test_what_finds_no_room_again_is_parked_and_the_rest_delivered() -> None:
    shop = await Shop().full()
    bundle = await shop.parked(ROOM + 3)
    await shop.empty()
    shop.adobe.answers.clear()
    shop.come_back(bundle)
    await after(GATHERED_SECONDS)
    assert shop.latest.headers[BUNDLE] == 3
    await shop.empty()
    assert shop.told.count("delivered") == 2 * ROOM
    assert shop.hand.in_hand == 0


@in_virtual_time
async def test_a_bundle_that_finds_no_room_at_all_is_parked_whole() -> None:
    shop = await Shop().full()
    bundle = await shop.parked(MANY)
    shop.come_back(bundle)
    await after(0.01)
    assert shop.told[-MANY:] == ["parked again"] * MANY
    assert len(shop.published) == 2
    assert shop.latest.body == bundle.body
    due = {DUE_AT: shop.latest.headers[DUE_AT]}
    assert shop.latest.headers == bundle.headers | {PARKS: 2} | due
    assert shop.latest.properties.message_id != bundle.properties.message_id


@in_virtual_time
async def test_events_of_a_bundle_that_may_have_taken_workers_down_are_set_apart_one_by_one() -> (
    None
):
    shop = await Shop().full()
    bundle = await shop.parked(3)
    shop.come_back(bundle, **{RETURNS: 2})
    await after(0.1)
    suspects = shop.published[1:]
    assert [one.routing_key for one in suspects] == ["consent.suspects"] * 3
    assert {one.body for one in suspects} == {body(f"e{n}", user=f"u{n}") for n in (3, 4, 5)}
    assert all(one.headers[INTEGRATION] == "shop" for one in suspects)
    assert shop.hand.in_hand == ROOM, "the bundle is acknowledged"


@in_virtual_time
async def test_what_calls_itself_a_bundle_and_is_none_is_a_dead_letter() -> None:
    shop = await Shop().full()
    shop.pipeline.handle(shop.hand.message(b"{}", {BUNDLE: 2}))
    await after(0.1)
    letter = shop.latest
    assert letter.headers["consent-dead-reason"] == "invalid-headers"
    assert "bundle" in letter.headers["consent-error-detail"]
    assert letter.body == b"{}"


ATTEMPTED: dict[str, int | str] = {
    INTEGRATION: "shop",
    ATTEMPTS: 1,
    FIRST_ATTEMPT_AT: 1_772_452_800_000,
    ELAPSED: 10,
}


@in_virtual_time
async def test_a_retry_is_never_parked_for_want_of_room() -> None:
    shop = await Shop().full()
    shop.come(20, **ATTEMPTED)
    await after(GATHERED_SECONDS)
    assert shop.published == []


@in_virtual_time
async def test_a_retry_is_parked_by_itself_since_its_budget_depends_on_the_delay() -> None:
    shop = Shop()
    shop.shop = SMALL_SHOP.model_copy(update={"paused": True})
    shop.come(2, **ATTEMPTED)
    await after(GATHERED_SECONDS)
    assert len(shop.published) == 2
    assert not any(BUNDLE in one.headers for one in shop.published)


@in_virtual_time
async def test_bundles_are_bounded_in_number_and_bytes() -> None:
    shop = await Shop().full()
    shop.come(410)
    await after(GATHERED_SECONDS)
    assert [one.headers[BUNDLE] for one in shop.published] == [200, 200, 10]
    shop.published.clear()
    for number in range(7):
        event = body(f"large{number}", user=f"large{number}") + b" " * 90_000
        shop.pipeline.handle(shop.hand.message(event))
    await after(GATHERED_SECONDS)
    assert max(len(one.body) for one in shop.published) <= 256 * 1024
    assert sum(one.headers.get(BUNDLE, 1) for one in shop.published) == 7


@in_virtual_time
async def test_while_fresh_events_come_bundles_in_vain_are_handled_one_after_the_other() -> None:
    shop = await Shop().full()
    bundles = [await shop.parked(MANY)] * 50
    shop.hand.is_second = True
    for bundle in bundles:
        shop.come_back(bundle)
    await after(0.05)
    assert 5 <= shop.told.count("parked again") / MANY <= 20
    await after(1)
    assert shop.told.count("parked again") >= 49 * MANY


@in_virtual_time
async def test_small_bundles_in_vain_grow_into_a_large_one() -> None:
    shop = await Shop().full()
    bundles = [await shop.parked(3)] * 20
    shop.published.clear()
    for bundle in bundles:
        shop.come_back(bundle)
    await after(GATHERED_SECONDS)
    assert [one.headers[BUNDLE] for one in shop.published] == [60]


@in_virtual_time
async def test_bundles_of_a_lane_that_keeps_up_wait_for_no_fresh_events() -> None:
    shop = await Shop().full()
    bundles = [await shop.parked(ROOM) for _ in range(5)]
    await shop.empty()
    done = shop.told.count("delivered")
    shop.hand.is_second = True
    began = now()
    for bundle in bundles:
        shop.come_back(bundle)
        await after(0.012)
    assert shop.told.count("delivered") - done == 5 * ROOM
    assert now() - began < 0.1


@in_virtual_time
async def test_a_forged_bundle_of_more_events_than_any_has_is_one_dead_letter() -> None:
    shop = await Shop().full()
    for many in (pack([event_in_a_bundle()] * 801), pack([event_in_a_bundle(b" " * 1_100_000)])):
        shop.pipeline.handle(shop.hand.message(many, {BUNDLE: 100}))
        await after(0.1)
        assert shop.latest.headers["consent-dead-reason"] == "invalid-headers"
        assert shop.latest.body == many
    assert len(shop.published) == 2


@in_virtual_time
async def test_a_bundle_within_a_bundle_is_one_dead_letter() -> None:
    shop = await Shop().full()
    inner = event_in_a_bundle(pack([event_in_a_bundle()] * 2), **{BUNDLE: 2})
    shop.pipeline.handle(shop.hand.message(pack([inner]), {BUNDLE: 1}))
    await after(0.1)
    assert shop.latest.headers["consent-dead-reason"] == "invalid-headers"
    assert len(shop.published) == 1


def event_in_a_bundle(content: bytes = b"{}", **headers: Any) -> tuple[bytes, bytes]:
    return encode_content_header(Basic.Properties(headers={**headers}), len(content)), content


@in_virtual_time
async def test_nothing_of_a_lost_session_is_published_or_opened() -> None:
    shop = await Shop().full()
    bundle = await shop.parked(3)
    shop.come(3)
    shop.come_back(bundle)
    shop.hand.host.lost.set()
    shop.pipeline.session_ended(shop.hand.host)
    told = list(shop.told)
    await after(5)
    assert (len(shop.published), shop.told) == (1, told)


@in_virtual_time
async def test_a_bundle_has_no_more_values_of_headers_than_are_read_of_one() -> None:
    """So what we pack is read whole, and what others pack costs no more than ours."""
    shop = await Shop().full()
    tags = {"tags": ["x"] * 400}
    for number in range(170):
        event = body(f"e{number}", user=f"tagged{number}")
        shop.pipeline.handle(shop.hand.message(event, tags))
    await after(GATHERED_SECONDS)
    first, second, rest = [one.headers[BUNDLE] for one in shop.published]
    assert first == second <= 32_768 // 401
    assert first + second + rest == 170
    bundle = shop.hand.message(shop.published[0].body)
    assert all(one.headers["tags"] == tags["tags"] for one in events_of(bundle, 0))

    forged = event_in_a_bundle(b"{}", **{f"h{number}": 1 for number in range(500)})
    opened = events_of(shop.hand.message(pack([forged] * 100)), 0)
    assert [one.is_readable for one in opened] == [True] * 65 + [False] * 35
