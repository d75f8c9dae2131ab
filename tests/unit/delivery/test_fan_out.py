"""Large events for an organization with many integrations leave others their turn."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from tests.unit.delivery.parts import Hand
from tests.unit.delivery.pipeline_parts import NOON, body
from tests.unit.delivery.virtual_time import after, in_virtual_time, now, spend
from tests.unit.examples import integration
from worker.broker.retry_state import FRESH, RetryState
from worker.delivery.fan_out import MOST_UNDECIDED, FanOut
from worker.delivery.outcome import Parked, Skipped
from worker.delivery.screening import Event
from worker.events import open_envelope
from worker.integrations.model import Integration
from worker.reasons import ParkReason, SkipReason

MANY = [integration(id=f"shop-{number}") for number in range(300)]
ORGANIZATION = MANY[0].organization_id
LATER = MANY[-1].id
"""One that is decided long after the first."""
PIECE_SECONDS = 0.027


class Slow:
    """To decide an event for an integration takes a while, in which nothing else happens."""

    def __init__(self) -> None:
        self.hand = Hand()
        self.decided: list[tuple[str, str]] = []
        self.failed: list[str] = []
        self.used: dict[str, Integration] = {}
        self.ended: list[tuple[str, str | None, Parked | Skipped]] = []
        self.states: list[RetryState] = []
        self.fails_for = ""
        self.in_force = {one.id: one for one in MANY}
        self.fan_out = FanOut(
            self._decide,
            self._end,
            self._fail,
            self.in_force.get,
            lambda: round(NOON * 1000),
            now,
        )

    def _decide(self, event: Event, one: Integration, _: int) -> None:
        spend(PIECE_SECONDS)
        if one.id == self.fails_for:
            raise RecursionError
        self.decided.append((event.envelope.event_id, one.id))
        self.used[one.id] = one

    def _end(
        self,
        event: Event,
        integration_id: str | None,
        outcome: Parked | Skipped,
        state: RetryState,
    ) -> None:
        self.ended.append((event.envelope.event_id, integration_id, outcome))
        self.states.append(state)

    def _fail(self, message: Any, error: Exception) -> None:
        self.failed.append(type(error).__name__)
        message.open_deliveries = -1

    def come(
        self, name: str, organization_id: str = ORGANIZATION, integrations: Any = MANY
    ) -> Event:
        if organization_id != ORGANIZATION:
            integrations = [_of_another(one, organization_id) for one in integrations]
            self.in_force |= {one.id: one for one in integrations}
        document = orjson.loads(body(name))
        entity = document.get("parameters", {}).get("entity", document)
        entity["organization_id"] = organization_id
        content = orjson.dumps(document)
        event = Event(self.hand.message(content), FRESH, open_envelope(content), False)
        self.fan_out.decide_whole(event, integrations)
        return event


def _of_another(one: Integration, organization_id: str) -> Integration:
    its_own = {"id": f"{organization_id}-{one.id}", "organization_id": organization_id}
    return one.model_copy(update=its_own)


@in_virtual_time
async def test_between_two_pieces_of_an_event_everybody_else_has_a_turn() -> None:
    slow = Slow()
    pauses = []
    slow.come("large")

    async def other() -> None:
        while len(slow.decided) < len(MANY):
            before = now()
            await asyncio.sleep(0.001)
            pauses.append(now() - before)

    await other()
    assert max(pauses) < 0.001 + 2 * PIECE_SECONDS
    assert slow.decided == [("large", one.id) for one in MANY], "each once, in order"


@in_virtual_time
async def test_organizations_take_turns() -> None:
    slow = Slow()
    for number in range(20):
        slow.come(f"large-{number}")
    slow.come("small", "another", MANY[:5])
    before = len(slow.decided)
    while sum(name == "small" for name, _ in slow.decided) < 5:
        await after(0.01)
    assert len(slow.decided) - before < 20


@in_virtual_time
async def test_what_takes_no_time_is_decided_at_once() -> None:
    slow = Slow()
    event = slow.come("one", integrations=MANY[:1])
    assert slow.decided == [("one", "shop-0")]
    assert event.message.open_deliveries == 1


@in_virtual_time
async def test_events_beyond_what_may_wait_are_parked_whole_and_routed_anew_later() -> None:
    slow = Slow()
    for number in range(MOST_UNDECIDED + 3):
        slow.come(f"large-{number}")
    names = [(name, integration_id) for name, integration_id, _ in slow.ended]
    assert names == [(f"large-{MOST_UNDECIDED + n}", None) for n in range(3)]
    assert {one.reason for _, _, one in slow.ended} == {ParkReason.LANE_FULL}
    slow.come("small", "another", MANY[:2])
    assert len(slow.ended) == 3, "no other organization's"
    await after(2 * PIECE_SECONDS * len(MANY) * (MOST_UNDECIDED + 1))
    assert len(slow.decided) == len(MANY) * MOST_UNDECIDED + 2


@in_virtual_time
async def test_an_error_in_the_middle_concerns_its_message_alone() -> None:
    slow = Slow()
    slow.fails_for = "shop-7"
    slow.come("bad")
    slow.come("good", "another", MANY[8:12])
    await after(60)
    assert slow.failed == ["RecursionError"]
    assert [one for name, one in slow.decided if name == "bad"] == [one.id for one in MANY[:7]]
    assert sum(name == "good" for name, _ in slow.decided) == 4


@in_virtual_time
async def test_what_the_broker_has_again_is_not_decided_any_further() -> None:
    slow = Slow()
    slow.come("large")
    slow.hand.host.lost.set()
    before = len(slow.decided)
    await after(60)
    assert len(slow.decided) == before


@pytest.mark.parametrize("change", [{"paused": True}, {"mappings": []}], ids=["pause", "mappings"])
@in_virtual_time
async def test_who_has_its_turn_later_has_the_configuration_that_is_in_force_by_then(
    change: dict[str, Any],
) -> None:
    slow = Slow()
    slow.come("large")
    changed = slow.in_force[LATER] = slow.in_force[LATER].model_copy(update=change)
    await after(60)
    assert slow.used[LATER] is changed
    assert len(slow.decided) == len(MANY)


IN_DOUBT = Parked(4.0, ParkReason.IN_DOUBT, organization_id=ORGANIZATION)


@pytest.mark.parametrize(
    ("change", "ending"),
    [
        (None, IN_DOUBT),
        ({"enabled": False}, Skipped(SkipReason.DISABLED)),
        ({"organization_id": "another"}, IN_DOUBT),
    ],
    ids=str,
)
@in_virtual_time
async def test_for_who_is_not_in_force_any_more_it_waits_and_all_others_have_it(
    change: dict[str, Any] | None, ending: Parked | Skipped
) -> None:
    """Whether it is a dead letter, or goes there all the same, is judged when it comes back."""
    slow = Slow()
    slow.come("large")
    was = slow.in_force.pop(LATER)
    if change is not None:
        slow.in_force[LATER] = was.model_copy(update=change)
    await after(60)
    assert slow.ended == [("large", LATER, ending)]
    (state,) = slow.states
    if ending is IN_DOUBT:
        assert state.blocked_since_ms == round(NOON * 1000), "or one with a new id would be lost"
    assert [one for _, one in slow.decided] == [one.id for one in MANY[:-1]]
