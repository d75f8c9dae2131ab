"""The lane of one integration: what waits for it, what is in requests, and how its endpoint does.

All events of one user that wait go as one message, and a user has at most one message under way,
with a gap after it (Adobe may resolve two quick ones either way round).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

from worker.broker.message import Source
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.allowance import held_limits_of
from worker.delivery.lanes.block import Block, SetupSuspicion
from worker.delivery.lanes.endpoint_health import STILL_SECONDS, EndpointHealth
from worker.delivery.lanes.events_in_hand import Confirming, UnderWay
from worker.delivery.lanes.lane_rounds import LaneRounds
from worker.delivery.lanes.lane_state import LaneActs, LaneState, Results, SharedParts
from worker.delivery.lanes.request_limits import RequestWindow
from worker.delivery.lanes.request_starts import LaneRequests
from worker.delivery.lanes.waiting_events import Waiting
from worker.integrations.model import Integration

KEEPS_UP_SECONDS: Final = 0.5
"""How long an event may be in a lane that keeps up, whatever the lane has done lately."""
DRAIN_SECONDS: Final = 4.0
"""What a lane that keeps up holds is gone after so long at its recent pace."""


class Lane:
    """What a worker has of one integration. `conclude` is called with the lane and the results of
    each round, `hand_over` with what has had no answer for long, and `give_back` with what is in a
    round when the worker stops, of which each marks what is handed over; and `release` with what
    comes back unsent and may not wait on.
    """

    def __init__(
        self,
        integration: Integration,
        block: Block,
        shared: SharedParts,
        conclude: Callable[[Lane, Results], None],
        hand_over: Callable[[Lane, list[Delivery]], None],
        give_back: Callable[[Lane, list[Delivery]], None],
        release: Callable[[Lane, Delivery], None],
    ) -> None:
        self.integration = integration
        self.held_limits = held_limits_of(integration)
        self.block = block
        self.suspicion = SetupSuspicion()
        self._loop = asyncio.get_running_loop()
        clock = self._loop.time
        self.health = EndpointHealth(clock)
        self.confirming = Confirming(integration.id, shared.begun, clock)
        self.window = RequestWindow(integration.limits.requests_in_flight)
        self._waiting = Waiting()
        self.under_way = UnderWay()
        self._suspects, self.gate = shared.suspects, shared.gate
        self._state = state = LaneState(
            integration, self._waiting, self.under_way, self.confirming, self.health, self.window
        )
        acts = LaneActs(
            lambda results: conclude(self, results),
            lambda sent: hand_over(self, sent),
            lambda held: give_back(self, held),
            lambda unsent: release(self, unsent),
        )
        self.rounds = LaneRounds(state, shared, acts)
        self.requests = LaneRequests(state, shared, self.rounds.begin)

    # What it has, and how it does

    @property
    def held(self) -> int:
        """Events that the lane has in hand: those that wait, and those in requests that are not
        handed over.
        """
        return self._waiting.events + self.under_way.events

    @property
    def waiting(self) -> int:
        """Fresh events held by the lane that are in no request."""
        return self._waiting.events - self._waiting.due_events

    @property
    def occupied(self) -> int:
        """Events of the lane that take up room among the fresh: those held, but for the due ones
        that wait, and those whose successor is not confirmed yet.
        """
        waiting, since = self._waiting, self.confirming.since
        return waiting.events - waiting.due_events + self.under_way.events + len(since)

    @property
    def is_idle(self) -> bool:
        """Whether the lane has nothing to do: nothing is held, in flight, or in a gap."""
        return not (self.confirming.since or self.under_way.requests or self._waiting.has_users)

    @property
    def takes_suspects(self) -> bool:
        """Whether the lane's suspects may have the one place that those of all lanes share."""
        return not (self.health.is_failing or self._suspects.is_resting(self.integration.id))

    def keeps_up(self) -> bool:
        """Whether what the lane holds will soon be through: by the age of the event that waits
        longest, or by the pace that the lane keeps. The second is for a worker that is itself what
        events wait for: to park them would only be more work for it. Not while confirms stay away.
        """
        now = self._loop.time()
        if now - next(iter(self.confirming.since.values()), now) > STILL_SECONDS:
            return False
        oldest = self._waiting.oldest
        if oldest is None or time.monotonic() - oldest.began <= KEEPS_UP_SECONDS:
            return True
        is_failing = self.health.is_failing
        return not is_failing and self.held <= DRAIN_SECONDS * self.health.throughput.recent()

    def stands_still(self) -> bool:
        """Whether the lane's requests have had no answer lately, though nothing asked it to wait,
        or it begins nothing but probes, and has one; or its state is away, that of others is not.
        """
        gate = self.gate
        if gate.closed and not gate.is_open_for(self.integration.state_id):
            return True
        health = self.health
        if not health.is_quiet:  # nearly always, and asked for each event
            return False
        now = self._loop.time()
        if self.requests.next_at > now:
            return False
        if not self.waiting and health.is_failing and self.requests.is_probe_due(now):
            return False
        return self.under_way.requests > 0 or health.is_failing

    # What it takes in and lets go of

    def adopt(self, integration: Integration) -> bool:
        """Go on with a changed configuration, which may have mended what the lane is blocked for;
        says whether it was blocked.
        """
        self.integration = self._state.integration = integration
        self.held_limits = held_limits_of(integration)
        self.suspicion = SetupSuspicion()
        self.health.configuration_changed()
        self.window.set_limit(integration.limits.requests_in_flight)
        self.rounds.slots.set_limit(integration.limits.requests_in_flight)
        return self.block.end()

    def offer(self, delivery: Delivery) -> None:
        """Take a delivery into the lane. The caller asks whether there is room (`allowance`)."""
        waiting = self._waiting
        has_nothing = not (waiting.events or self.under_way.events)
        if has_nothing and not self.health.is_failing:
            self.health.throughput.begin()
        if waiting.oldest is None:
            waiting.oldest = delivery
        if not waiting.due:
            self.requests.due_since = self._loop.time()
        may_go = waiting.add(delivery)
        if delivery.is_suspect and may_go is not None:
            # A suspect does not queue behind others: the longer it waits, the more restarts that
            # have nothing to do with it count against it.
            self.requests.start([may_go])
        elif not self.requests.pump_is_due:
            # Not at once: what came in the same burst of the broker's line goes in the same batch.
            self.requests.pump_is_due = True
            self._loop.call_soon(self.requests.pump)

    def drop_returned(self) -> None:
        """Let go of deliveries that the broker has again, and that are in no request."""
        self._state.drop_returned()

    def take_all_waiting(self) -> list[Delivery]:
        """All deliveries that wait in the lane, taken out, to be parked."""
        return self._waiting.take_all()

    def __iter__(self) -> Iterator[Delivery]:
        """The events held."""
        for group in self._waiting:
            yield from group
        yield from self.under_way

    def held_of(self, intake: Source) -> int:
        """How much of the room of `intake` is taken by events of the lane that came by it."""
        places = {one.message.place for one in self if one.message.source is intake}
        return len(places) * intake.events_each

    def give_up_surplus(self, intake: Source, events: int) -> list[Delivery]:
        """So many of what the lane holds of `intake`, the newest first, taken out to be parked.
        What is in a request or begun stays, and so does a suspect.
        """
        return self._waiting.give_up(intake, events)
