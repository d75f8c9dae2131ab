"""The copy of what was under way comes back when its retry budget is over: the state decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.delivery.fleet import Fleet
from tests.unit.delivery.pipeline_parts import NOON, body
from tests.unit.delivery.virtual_time import after, in_virtual_time
from worker.adobe.replies import Retryable
from worker.broker.headers import ATTEMPTS, RETURNED
from worker.reasons import ErrorCode

AWAY = Retryable(ErrorCode.ADOBE_UNAVAILABLE, "HTTP 503", 503)
REFUSED = Retryable(ErrorCode.ADOBE_REFUSED, "HTTP 403", 403)
EVENT = body("e1")
USER = "lena@northwind.example"
BUDGET_SECONDS = 300


def tried(attempts: int, seconds: int, **more: Any) -> dict[str, Any]:
    """Headers of an event whose first of so many attempts was so long ago."""
    return {
        "consent_integration": "shop",
        "consent_attempts": attempts,
        "consent_first_attempt_at": round((NOON - seconds) * 1000),
        "consent_elapsed": seconds * 1000,
        **more,
    }


class Held(Fleet):
    """A fleet whose broker can keep what is due, as one that is down."""

    def __init__(self) -> None:
        super().__init__()
        self._give_out: Callable[[bytes, dict[str, Any], str], None] = self.line.take
        self._kept: list[tuple[bytes, dict[str, Any], str]] = []

    def keep(self) -> None:
        self.line.take = lambda *copy: self._kept.append(copy)

    def give_out(self) -> list[dict[str, Any]]:
        """Of what was kept; the headers of each."""
        for copy in self._kept:
            self._give_out(*copy)
        return [headers for _, headers, _ in self._kept]


async def handed_over_at_the_sixth_attempt(fleet: Held) -> None:
    fleet.keep()
    fleet.adobe.answers.clear()
    fleet.give(EVENT, **tried(5, 200))
    await after(12)
    assert fleet.line.handed_over == 1
    fleet.adobe.answers.set()
    await after(BUDGET_SECONDS)
    assert fleet.told == ["retried", "accepted late"]


@in_virtual_time
async def test_what_was_accepted_late_at_the_sixth_attempt_is_delivered_by_its_copy() -> None:
    fleet = Held()
    await handed_over_at_the_sixth_attempt(fleet)
    [copy] = fleet.give_out()
    assert copy[ATTEMPTS] == 6
    await after(1)
    assert fleet.told[2:] == ["delivered"]
    assert len(fleet.adobe.times[USER]) == 1
    assert fleet.line.letters == []


@in_virtual_time
async def test_without_a_stamp_it_has_one_more_attempt_and_is_dead_then() -> None:
    fleet = Held()
    await handed_over_at_the_sixth_attempt(fleet)
    fleet.forget_all()
    fleet.adobe.reply = AWAY
    fleet.give_out()
    await after(10 * BUDGET_SECONDS)
    assert fleet.told[2:] == ["dead"]
    assert len(fleet.adobe.times[USER]) == 2
    [letter] = fleet.line.letters
    assert (letter["consent-error"], letter[ATTEMPTS]) == ("adobe-unavailable", 7)


@in_virtual_time
async def test_an_endpoint_that_hangs_on_at_that_attempt_ends_it_as_well() -> None:
    fleet = Held()
    fleet.adobe.answers.clear()
    fleet.give(EVENT, **tried(6, 400, consent_handed_over=1))
    await after(10 * BUDGET_SECONDS)
    assert fleet.told == ["dead"]
    assert (len(fleet.adobe.times[USER]), fleet.line.handed_over) == (1, 0)


@in_virtual_time
async def test_what_a_worker_that_died_had_delivered_is_no_dead_letter() -> None:
    fleet = Fleet()
    fleet.give(EVENT)
    await after(1)
    fleet.give(EVENT, **tried(6, 400, x_delivery_count=1))
    await after(1)
    assert fleet.told == ["delivered", "duplicate"]
    assert len(fleet.adobe.times[USER]) == 1


@in_virtual_time
async def test_what_came_back_from_a_worker_that_died_has_one_more_attempt_at_most() -> None:
    fleet = Fleet()
    fleet.adobe.reply = AWAY
    fleet.give(EVENT, **tried(6, 400, x_delivery_count=1))
    await after(10 * BUDGET_SECONDS)
    assert fleet.told == ["dead"]
    assert len(fleet.adobe.times[USER]) == 1


@in_virtual_time
@pytest.mark.parametrize("mark", ["x_delivery_count", "consent_returned", "consent_handed_over"])
async def test_what_was_tried_since_comes_too_late_as_all_others_do(mark: str) -> None:
    """Its answer is there: that it was with another worker, or under way, before is long over."""
    fleet = Held()
    fleet.keep()
    fleet.adobe.reply = AWAY
    fleet.give(EVENT, **tried(5, 200, **{mark: 1}))
    await after(BUDGET_SECONDS)
    [copy] = fleet.give_out()
    assert (copy[ATTEMPTS], RETURNED in copy) == (6, False)
    await after(1)
    assert fleet.told == ["retried", "dead"]
    assert len(fleet.adobe.times[USER]) == 1


@in_virtual_time
async def test_what_waits_for_a_right_set_up_meanwhile_keeps_its_one_attempt() -> None:
    fleet = Held()
    fleet.adobe.reply = REFUSED
    fleet.give(EVENT, **tried(6, 400, consent_handed_over=1))
    await after(600)
    assert set(fleet.told) == {"block", "parked"}
    fleet.adobe.reply = AWAY
    await after(10 * BUDGET_SECONDS)
    assert fleet.told[-1] == "dead"
    assert fleet.told.count("dead") == 1
