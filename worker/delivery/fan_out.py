"""An event of an organization with many integrations is decided in slices, between which others
have their turn.

What an event says is worked out for each integration anew. A large event for hundreds of them takes
seconds, in which nobody else would be served and no heartbeat of the broker answered.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.outcome import Parked, Skipped
from worker.delivery.park_delays import hold_seconds
from worker.delivery.screening import Event
from worker.delivery.slices import REST_SECONDS, not_handled
from worker.integrations.model import Integration
from worker.reasons import ParkReason, SkipReason

_SLICE_SECONDS: Final = 0.02
"""What is decided in one go, at least one integration; it bounds how long others wait."""
MOST_UNDECIDED: Final = 64
"""Events of an organization in hand that are not decided for each integration: far more would take
up the prefetch, in which all others have their events, too."""


class _Undecided(NamedTuple):
    """An event, and the integrations that it is still to be decided for."""

    event: Event
    integrations: deque[Integration]


class FanOut:
    """Decides an event for the many integrations of its organization, in slices. `decide` is called
    with an event, an integration and the time in ms since 1970, which `now_ms` gives; `fail` with a
    message for which that raises later than at once; `end` with what is to wait: an event as a
    whole, or its delivery for an integration, named by its id. `find` gives the integration in
    force with an id. `clock` gives seconds.
    """

    def __init__(
        self,
        decide: Callable[[Event, Integration, int], None],
        end: Callable[[Event, str | None, Parked | Skipped, RetryState], None],
        fail: Callable[[Incoming, Exception], None],
        find: Callable[[str], Integration | None],
        now_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decide = decide
        self._end = end
        self._fail = fail
        self._find = find
        self._now_ms = now_ms
        self._clock = clock
        self._undecided: dict[str, deque[_Undecided]] = {}

    def decide_whole(self, event: Event, integrations: Sequence[Integration]) -> None:
        """Decide an event that has no delivery yet. Where its organization has more undecided than
        it may, the event is parked as a whole, and routed anew when it comes back.
        """
        organization_id = event.envelope.organization_id
        if len(self._undecided.get(organization_id, ())) < MOST_UNDECIDED:
            event.message.divide(len(integrations))
            self.decide(event, integrations)
            return
        seconds = hold_seconds(event.state.parks)
        parked = Parked(seconds, ParkReason.LANE_FULL, organization_id=organization_id)
        self._end(event, None, parked, event.state)

    def decide(self, event: Event, integrations: Sequence[Integration]) -> None:
        """Decide `event` for each of `integrations`: now, as far as that is quickly done."""
        ends_at = self._clock() + _SLICE_SECONDS
        now_ms = self._now_ms()
        for number, one in enumerate(integrations, 1):
            self._decide(event, one, now_ms)
            if number < len(integrations) and self._clock() >= ends_at:
                self._decide_later(event, integrations[number:])
                return

    def _decide_later(self, event: Event, integrations: Sequence[Integration]) -> None:
        if not self._undecided:
            self._wait()
        of_same = self._undecided.setdefault(event.envelope.organization_id, deque())
        of_same.append(_Undecided(event, deque(integrations)))

    def _wait(self) -> None:
        asyncio.get_running_loop().call_later(REST_SECONDS, self._next)

    def _next(self) -> None:
        """A slice of the organization whose turn it is."""
        organization_id = next(iter(self._undecided))
        of_same = self._undecided.pop(organization_id)
        ends_at = self._clock() + _SLICE_SECONDS
        while of_same:
            try:
                self._go_on(of_same[0], ends_at)
            except Exception as error:
                not_handled(error)
            if not of_same[0].integrations:
                of_same.popleft()
            if self._clock() >= ends_at:
                break
        if of_same:
            self._undecided[organization_id] = of_same  # behind the others
        if self._undecided:
            self._wait()

    def _go_on(self, undecided: _Undecided, ends_at: float) -> None:
        event, integrations = undecided
        now_ms = self._now_ms()
        while integrations:
            # Or the broker gives it out again, or it has become one dead letter as a whole.
            if not event.message.is_ours or event.message.open_deliveries <= 0:
                integrations.clear()
                return
            try:
                self._decide_one(event, integrations.popleft(), now_ms)
            except Exception as error:
                self._fail(event.message, error)
            if self._clock() >= ends_at:
                return

    def _decide_one(self, event: Event, integration: Integration, now_ms: int) -> None:
        """By the configuration that is in force by now: the one of before may have been changed."""
        now = self._find(integration.id)
        organization_id = event.envelope.organization_id
        if now is not None and now.enabled and now.organization_id == organization_id:
            self._decide(event, now, now_ms)
            return
        state = event.state
        if now is not None and not now.enabled:
            self._end(event, integration.id, Skipped(SkipReason.DISABLED), state)
            return
        # Where it goes is judged when it comes back: its integration may have got another id.
        since = replace(state, blocked_since_ms=state.blocked_since_ms or now_ms)
        seconds = hold_seconds(state.parks)
        parked = Parked(seconds, ParkReason.IN_DOUBT, organization_id=organization_id)
        self._end(event, integration.id, parked, since)
