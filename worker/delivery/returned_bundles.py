"""A bundle whose turn has come: opened, or parked again whole while its reason still holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from worker.broker import headers as names
from worker.broker.delay import by_few_levels, due_at_ms
from worker.broker.headers import returns_in
from worker.broker.message import Incoming
from worker.broker.retry_state import InvalidHeaders, RetryState, read_retry_state
from worker.delivery.bundles.bundle_format import MOST_EVENTS, NotABundle, first_body
from worker.delivery.bundles.opening import HURRY_SECONDS, events_of
from worker.delivery.inlets.known_inlets import KnownInlets
from worker.delivery.inlets.mode_in_force import Routes
from worker.delivery.lanes.lane_registry import Lanes
from worker.delivery.outcome import Observer, Parked
from worker.delivery.park_delays import asking_seconds, hold_seconds
from worker.delivery.parked_again_bundles import ParkedAgain
from worker.delivery.pipeline_limits import PipelineLimits
from worker.delivery.routing import Routing
from worker.delivery.slices import REST_SECONDS
from worker.delivery.successors import Successors, state_after
from worker.events import UndecodableEvent, open_envelope
from worker.integrations.model import Integration
from worker.reasons import ParkReason

_OPENED_BELOW_EVENTS: Final = MOST_EVENTS // 8
"""What has fewer events is opened even if all of them are parked again: so small bundles grow into
large ones, instead of filling the queue in which others' events wait too."""


class ReturnedBundles:
    """Knows what the events of a bundle may be waiting for, and notes in `parked_again` what it
    parks again. `now_ms` gives ms since 1970.
    """

    def __init__(
        self,
        routes: Routes,
        routing: Routing,
        lanes: Lanes,
        inlets: KnownInlets,
        limits: PipelineLimits,
        successors: Successors,
        observer: Observer,
        parked_again: ParkedAgain,
        now_ms: Callable[[], int],
    ) -> None:
        self._routes = routes
        self._routing = routing
        self._lanes = lanes
        self._inlets = inlets
        self._limits = limits
        self._successors = successors
        self._observer = observer
        self.parked_again = parked_again
        self._now_ms = now_ms
        self.open_again: Callable[[Incoming], None] = lambda _: None
        """Called with a bundle that could not be parked again: its turn is to come once more."""

    def open(self, bundle: Incoming) -> tuple[list[Incoming], float]:
        """The events of a bundle that are to be handled now, and for how long to rest after a slice
        of them while fresh events come (seconds). Raises `NotABundle`.
        """
        returns = returns_in(bundle.headers)
        if not returns and self._park_again(bundle):
            return [], REST_SECONDS
        events = events_of(bundle, returns)
        integration = self._named_by(bundle)
        lane = self._lanes.of(integration) if integration is not None else None
        hurries = lane is not None and not lane.block.is_on and lane.keeps_up()
        return events, HURRY_SECONDS if hurries else REST_SECONDS

    def _named_by(self, message: Incoming) -> Integration | None:
        integration_id = message.headers.get(names.INTEGRATION)
        return self._routes.get(integration_id) if isinstance(integration_id, str) else None

    def _park_again(self, bundle: Incoming) -> bool:
        """Park a bundle whole, if what its events are parked for still holds."""
        events = bundle.headers[names.BUNDLE]
        if isinstance(events, bool) or not isinstance(events, int) or not 0 < events <= MOST_EVENTS:
            return False  # no number of ours: what is in it tells
        if not self._successors.takes_bundle(bundle):
            return False  # it is taken apart
        now_ms = self._now_ms()
        try:
            state = read_retry_state(bundle.headers, now_ms)
        except InvalidHeaders:
            return False
        if state.attempts_made or self._limits.is_out_of_patience(state, now_ms):
            return False
        outcome = self._still_parked(bundle, state, events)
        if outcome is None:
            return False
        after = state_after(state, outcome, state.integration_id)
        self._observer.parked_again(state.integration_id or "", outcome.reason, events)
        due_at = due_at_ms(outcome.delay_seconds, now_ms)

        def confirmed() -> None:
            self.parked_again.note(state.integration_id, due_at)
            bundle.done_on_record()

        self._successors.park_bundle(
            bundle, after, outcome, events, confirmed, partial(self.open_again, bundle)
        )
        return True

    def _still_parked(self, bundle: Incoming, state: RetryState, events: int) -> Parked | None:
        """Why the events of a bundle can't go on now; None when one of them may."""
        integration = self._named_by(bundle)
        if integration is None:
            return self._still_in_doubt(bundle, state)
        if not integration.enabled:
            return None
        if integration.paused:
            return Parked(hold_seconds(state.parks), ParkReason.PAUSED)
        if integration.payload_mode == "auto" and self._inlets.is_unknown(integration):
            return Parked(asking_seconds(state.parks), ParkReason.UNKNOWN_INLET)
        lane = self._lanes.of(integration)
        if lane.integration is not integration:
            return None
        if lane.block.is_on:
            now = time.monotonic()
            if lane.block.is_probe_due(now):
                return None
            delay = lane.block.parking_delay(state.parks, now)
            return Parked(delay, ParkReason.BLOCKED, lane.block.failure)
        if events < _OPENED_BELOW_EVENTS or self._lanes.has_room_for_one_of(bundle.source, lane):
            return None
        return Parked(
            by_few_levels(lane.health.throughput.seconds_until_room(events)), ParkReason.LANE_FULL
        )

    def _still_in_doubt(self, bundle: Incoming, state: RetryState) -> Parked | None:
        try:
            organization_id = open_envelope(first_body(bundle.body)).organization_id
        except (NotABundle, UndecodableEvent):
            return None
        routing = self._routing
        if state.integration_id is None and routing.ids_beyond(state.served, organization_id):
            return None
        if routing.doubt(state.integration_id, organization_id) is None:
            return None
        return Parked(hold_seconds(state.parks), ParkReason.IN_DOUBT)
