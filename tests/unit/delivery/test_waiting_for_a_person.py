"""What must wait for a person or the clock waits, costs little meanwhile, and is not lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.delivery.parts import GATHERED_SECONDS, Published, Store
from tests.unit.delivery.pipeline_parts import SHOP, Adobe, Worker, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.broker.headers import BLOCKED_SINCE, BUNDLE, INTEGRATION, PARKS, RETURNS, SERVED
from worker.delivery.bundles.bundle_format import unpack
from worker.delivery.receipting import ReceiptBook
from worker.delivery.unknown_organizations import AskFleet
from worker.integrations.model import Integration, Missing
from worker.reasons import ErrorCode

DAY = 86_400
PAUSED = SHOP.model_copy(update={"paused": True})
DISABLED = SHOP.model_copy(update={"enabled": False})
REFUSED = Retryable(ErrorCode.TOKEN_REFUSED, "HTTP 400", 400)


class Office(Worker):
    """A worker whose integrations a person changes while it runs."""

    def __init__(
        self, receipts: ReceiptBook | None = None, ask_fleet: AskFleet | None = None
    ) -> None:
        self.adobe = Adobe()
        self.doubt: str | None = None
        self.doubt_about_others: str | None = None
        self.broken: list[str] = []
        self.gone: list[str] = []
        self.in_force: list[Integration] = [SHOP]
        super().__init__(self.adobe, Store(), receipts=receipts, ask_fleet=ask_fleet)

    def for_organization(self, _: str) -> list[Integration]:
        return [one for one in self.in_force if one.enabled]

    def disabled_for(self, _: str) -> list[Integration]:
        return [one for one in self.in_force if not one.enabled]

    def missing_for(self, _: str) -> Mapping[str, Missing]:
        found: dict[str, Missing] = dict.fromkeys(self.broken, "broken")
        return found | dict.fromkeys(self.gone, "gone")

    def doubt_about_all(self) -> str | None:
        return self.doubt_about_others

    def doubt_about(self, _: str) -> str | None:
        return self.doubt

    def get(self, integration_id: str) -> Integration | None:
        return next((one for one in self.in_force if one.id == integration_id), None)

    async def come(self, count: int, first: int = 1) -> Published:
        """So many events of as many users; the last message that was published then."""
        for number in range(first, first + count):
            self.pipeline.handle(self.hand.message(body(f"e{number}", user=f"u{number}")))
        await after(GATHERED_SECONDS)
        return self.latest

    async def come_back(self, parked: Published, **headers: Any) -> Published:
        """What was parked is due; the last message that was published then."""
        await self.take(parked.body, parked.headers | headers)
        await after(GATHERED_SECONDS)
        return self.latest

    @property
    def published(self) -> int:
        return len(self.hand.host.published)


def _path_seconds(parked: Published) -> float:
    words = parked.routing_key.removesuffix(".parked").split(".")
    return sum(int(one[:-2]) / 1000 if one.endswith("ms") else int(one[:-1]) for one in words)


@in_virtual_time
async def test_a_paused_customer_costs_one_message_for_many_events_ever_more_rarely() -> None:
    office = Office()
    office.in_force = [PAUSED]
    bundle = await office.come(100)
    assert (office.published, bundle.headers[BUNDLE]) == (1, 100)
    delays = [_path_seconds(bundle)]
    for parks in range(2, 10):
        bundle = await office.come_back(bundle)
        assert (office.published, bundle.headers[PARKS]) == (parks, parks)
        delays.append(_path_seconds(bundle))
    assert delays == [4, 8, 16, 32, 64, 128, 256, 256, 256]
    assert office.adobe.asked == 0
    assert office.hand.in_hand == 0


@in_virtual_time
async def test_what_is_parked_comes_back_by_a_queue_of_its_own() -> None:
    office = Office()
    office.in_force = [PAUSED]
    assert (await office.come(1)).routing_key == "4s.parked"


@in_virtual_time
async def test_a_pause_spends_no_patience_and_no_budget_and_goes_on_when_taken_back() -> None:
    office = Office()
    office.adobe.reply = REFUSED
    bundle = await office.come(3)
    assert bundle.headers[BLOCKED_SINCE]
    office.in_force = [PAUSED]
    for _ in range(4):
        await after(DAY)
        bundle = await office.come_back(bundle)
    assert BLOCKED_SINCE not in bundle.headers
    office.in_force = [SHOP]
    office.adobe.reply = Accepted("x")
    await office.come_back(bundle)
    assert office.told.count("delivered") == 3
    assert office.hand.in_hand == 0
    assert "dead" not in office.told


@in_virtual_time
async def test_a_pause_parks_a_retry_by_itself_and_spares_its_budget() -> None:
    office = Office()
    office.in_force = [PAUSED]
    attempted = {
        INTEGRATION: "shop",
        "consent-attempts": 2,
        "consent-first-attempt-at": 1_772_452_780_000,
        "consent-elapsed": 20_000,
    }
    await office.take(body("e1"), attempted)
    parked = office.latest
    for _ in range(3):
        await after(_path_seconds(parked))
        parked = await office.come_back(parked)
    assert parked.headers["consent-attempts"] == 2
    assert parked.headers["consent-parked"] == (4 + 8 + 16 + 32) * 1000
    office.in_force = [SHOP]
    await after(32)
    await office.come_back(parked)
    assert office.told[-1] == "delivered"


@in_virtual_time
async def test_a_blocked_customer_is_parked_unopened_and_one_event_is_the_probe() -> None:
    office = Office()
    office.adobe.reply = REFUSED
    bundle = await office.come(50)
    asked = office.adobe.asked
    bundle = await office.come_back(bundle)
    assert (office.adobe.asked, office.told[-1]) == (asked, "parked again")
    await after(16)
    office.adobe.reply = Accepted("x")
    await office.come_back(bundle)
    assert office.told.count("delivered") == 1
    assert "unblocked" in office.told
    rest = office.latest
    assert rest.headers[BUNDLE] == 49
    await office.come_back(rest)
    assert office.told.count("delivered") == 50


@in_virtual_time
async def test_a_blocked_bundle_beyond_its_patience_is_dead_event_by_event() -> None:
    office = Office()
    office.adobe.reply = REFUSED
    bundle = await office.come(3)
    await after(DAY + 1)
    await office.come_back(bundle)
    dead = office.hand.host.published[-2:]
    assert {one.headers["consent-dead-reason"] for one in dead} == {"setup-failure"}


@pytest.mark.parametrize("returns", [0, 1])
@in_virtual_time
async def test_in_doubt_events_wait_and_go_on_as_fresh_ones(returns: int) -> None:
    office = Office()
    office.in_force, office.doubt = [], "no integration is valid"
    bundle = await office.come(5)
    assert INTEGRATION not in bundle.headers
    bundle = await office.come_back(bundle, **({RETURNS: returns} if returns else {}))
    assert bundle.headers[BUNDLE] == 5
    assert office.told.count("delivered") == 0
    office.in_force, office.doubt = [SHOP], None
    await office.come_back(bundle)
    assert office.told.count("delivered") == 5
    assert office.hand.in_hand == 0


@in_virtual_time
async def test_in_doubt_for_longer_than_a_block_may_last_is_a_dead_letter() -> None:
    office = Office()
    office.in_force, office.doubt = [], "no integration is valid"
    parked = await office.come(1)
    await after(DAY + 1)
    letter = await office.come_back(parked)
    assert letter.headers["consent-dead-reason"] == "no-integration"
    assert letter.body == body("e1", user="u1")


@in_virtual_time
async def test_without_a_doubt_an_unknown_organization_is_skipped_by_name() -> None:
    office = Office()
    office.in_force = []
    await office.take(body("e1"))
    assert office.told == ["no-integration"]
    assert office.published == 0


@in_virtual_time
async def test_a_broken_file_parks_its_own_events_until_it_is_mended() -> None:
    office = Office()
    office.in_force, office.broken = [], ["shop"]
    parked = await office.come(2)
    parked = await office.come_back(parked)
    office.in_force, office.broken = [SHOP], []
    await office.come_back(parked)
    assert office.told.count("delivered") == 2


@in_virtual_time
async def test_what_was_parked_for_a_name_that_is_gone_is_routed_anew() -> None:
    office = Office()
    office.broken = ["second"]
    parked = await office.come(1)
    assert parked.headers[INTEGRATION] == "second"
    office.broken = []
    renamed = SHOP.model_copy(update={"id": "renamed"})
    office.in_force = [SHOP, renamed]
    await office.come_back(parked)
    assert sorted(office.told) == ["delivered", "delivered", "parked", "served"]


SECOND = SHOP.model_copy(update={"id": "second"})
THIRD = SHOP.model_copy(update={"id": "third"})


@pytest.mark.parametrize("kind", ["gone", "broken"])
@in_virtual_time
async def test_one_of_several_integrations_that_is_missing_gets_its_copies_when_it_is_back(
    kind: str,
) -> None:
    office = Office()
    setattr(office, kind, ["second"])
    parked = await office.come(3)
    assert office.told.count("delivered") == 3
    assert (parked.headers[INTEGRATION], parked.headers[SERVED]) == ("second", "shop")
    parked = await office.come_back(parked)
    assert office.told.count("delivered") == 3
    setattr(office, kind, [])
    office.in_force = [SHOP, SECOND]
    await office.come_back(parked)
    assert office.told.count("delivered") == 6
    assert "duplicate" not in office.told
    assert office.hand.in_hand == 0


@pytest.mark.parametrize("seconds", [1, DAY + 1])
@in_virtual_time
async def test_one_that_never_comes_back_makes_a_dead_letter_under_its_name(seconds: int) -> None:
    office = Office()
    office.gone = ["second"]
    parked = await office.come(1)
    await after(seconds)
    if seconds < DAY:
        office.gone = []
    letter = await office.come_back(parked)
    assert letter.headers["consent-dead-reason"] == "unknown-integration"
    assert letter.headers[INTEGRATION] == "second"
    assert office.told.count("delivered") == 1


@in_virtual_time
async def test_what_was_under_way_to_one_that_goes_is_no_ones_else() -> None:
    office = Office()
    office.gone = ["second"]
    await office.take(body("e1"), {INTEGRATION: "second"})
    await after(GATHERED_SECONDS)
    office.gone = []
    letter = await office.come_back(office.latest)
    assert letter.headers["consent-dead-reason"] == "unknown-integration"
    assert office.told == ["parked", "dead"]


@in_virtual_time
async def test_a_file_that_may_be_anybodys_holds_a_copy_for_those_that_are_new_since() -> None:
    office = Office()
    office.doubt_about_others = "half.json does not tell its organization"
    parked = await office.come(3)
    assert office.told.count("delivered") == 3
    assert INTEGRATION not in parked.headers
    assert parked.headers[SERVED] == "shop"
    parked = await office.come_back(parked)
    assert office.told[-1] == "parked again", "a bundle of them is not even opened"
    office.in_force = [SHOP, SECOND]
    parked = await office.come_back(parked)
    assert office.told.count("delivered") == 6
    assert parked.headers[SERVED] == "shop,second"
    office.doubt_about_others = None
    office.in_force = [SHOP, SECOND, THIRD]
    await office.come_back(parked)
    assert office.told.count("delivered") == 9
    assert "duplicate" not in office.told
    assert office.hand.in_hand == 0


@in_virtual_time
async def test_a_copy_that_nobody_wants_is_skipped_as_served() -> None:
    office = Office()
    office.doubt_about_others = "half.json does not tell its organization"
    parked = await office.come(1)
    told, published = list(office.told), office.published
    office.doubt_about_others = None
    await office.come_back(parked)
    assert office.told == [*told, "served"]
    assert (office.published, office.hand.in_hand) == (published, 0)


@in_virtual_time
async def test_a_copy_that_nobody_can_judge_is_a_dead_letter_in_the_end() -> None:
    office = Office()
    office.doubt_about_others = "half.json does not tell its organization"
    parked = await office.come(1)
    await after(DAY + 1)
    letter = await office.come_back(parked)
    assert letter.headers["consent-dead-reason"] == "invalid-integration"
    assert office.told == ["parked", "delivered", "dead"]


@in_virtual_time
async def test_a_retry_of_an_integration_in_doubt_waits_and_is_no_dead_letter() -> None:
    office = Office()
    office.in_force, office.doubt = [], "no integration is valid"
    await office.take(body("e1"), {INTEGRATION: "shop"})
    assert office.told == ["parked"]


@in_virtual_time
async def test_fresh_events_of_a_disabled_integration_are_skipped_under_its_own_name() -> None:
    office = Office()
    office.in_force = [DISABLED]
    await office.take(body("e1"))
    assert office.told == ["disabled"]
    await office.take(body("e2"), {INTEGRATION: "shop"})
    assert office.latest.headers["consent-dead-reason"] == "integration-disabled"


@in_virtual_time
async def test_an_event_of_the_future_waits_for_its_time_by_a_slow_clock() -> None:
    office = Office()
    ahead = 600
    office.pipeline.handle(office.hand.message(body("e1", ago=-ahead)))
    await after(GATHERED_SECONDS)
    for _ in range(4):
        await after(_path_seconds(office.latest))
        if (await office.come_back(office.latest)) and office.told[-1] == "delivered":
            break
    assert office.told[-1] == "delivered"
    assert "dead" not in office.told


@in_virtual_time
async def test_each_event_of_a_bundle_keeps_its_body_to_the_byte() -> None:
    office = Office()
    office.in_force = [PAUSED]
    bundle = await office.come(2)
    assert [content for _, content in unpack(bundle.body)] == [
        body("e1", user="u1"),
        body("e2", user="u2"),
    ]


WRONG_ORG = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400: wrong ims org", 400, fault="set-up")
UNKNOWN_FORMAT = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400: unknown", 400, fault="ambiguous")


@pytest.mark.parametrize("refusal", [WRONG_ORG, UNKNOWN_FORMAT])
@in_virtual_time
async def test_a_set_up_that_refuses_every_message_blocks_and_makes_no_dead_letter(
    refusal: Permanent,
) -> None:
    office = Office()
    office.adobe.reply = refusal
    await office.come(30)
    assert office.told.count("block") == 1
    assert "dead" not in office.told
    office.adobe.reply = Accepted("x")
    office.in_force = [SHOP.model_copy()]
    for parked in list(office.hand.host.published):
        await office.come_back(parked)
    assert office.told.count("delivered") == 30


@in_virtual_time
async def test_a_few_refusals_of_that_kind_are_tried_again_and_named_in_the_end() -> None:
    office = Office()
    office.adobe.reply = WRONG_ORG
    retry = await office.come(1)
    for _ in range(6):
        await after(_path_seconds(retry))
        retry = await office.come_back(retry)
    assert retry.headers["consent-dead-reason"] == "adobe-rejected"
    assert retry.headers["consent-attempts"] == 7
    assert "block" not in office.told


@in_virtual_time
async def test_refusals_of_one_person_alone_block_nobody() -> None:
    office = Office()
    office.adobe.reply = WRONG_ORG
    for number in range(25):
        await office.take(body(f"e{number}", user="lena"))
    assert "block" not in office.told


@in_virtual_time
async def test_an_ambiguous_refusal_is_the_messages_fault_once_another_was_accepted() -> None:
    office = Office()
    await office.take(body("good", user="ole"))
    office.adobe.reply = UNKNOWN_FORMAT
    await office.take(body("bad"))
    assert office.told == ["delivered", "dead"]


@in_virtual_time
async def test_a_batch_refused_for_the_set_up_is_not_halved() -> None:
    office = Office()
    office.adobe.reply = WRONG_ORG
    await office.come(16)
    assert office.adobe.asked == 1


@in_virtual_time
async def test_a_time_that_nobody_can_write_concerns_its_own_event() -> None:
    office = Office()
    office.in_force = [
        SHOP.model_copy(update={"event_time_path": "extSourceSystemAudit.lastUpdatedDate"})
    ]
    good = [body(f"e{number}", user=f"u{number}") for number in range(40)]
    document = json.loads(good[0])
    bad = document | {"id": "bad", "created_at": "0001-01-01T00:00:00+01:00"}
    for one in [*good[:20], json.dumps(bad).encode(), *good[20:]]:
        office.pipeline.handle(office.hand.message(one))
    await after(GATHERED_SECONDS)
    assert office.told.count("delivered") == 40
    assert office.told.count("dead") == 1
    assert office.latest.headers["consent-dead-reason"] == "invalid-event"
