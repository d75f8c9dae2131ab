"""The way of a message, from intake to a durable outcome. Read it top to bottom.

screen → route → for each integration: decide → its lane → rounds at Adobe → conclude → follow. What
needs a successor (a retry, a parked event, a dead letter) is done when the broker has confirmed
that, and a message is acknowledged when all of its deliveries are done. A crash at any point
repeats work and loses none.

The rules are elsewhere, and only return: `screening`, `routing`, `event_decisions`, `conclusions`.
`Endings` and `UntriedEndings` act on what becomes of deliveries, `Successors` publishes what
follows, `Receipting` puts it on record.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import structlog

from worker.broker import headers as names
from worker.broker.message import Host, Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.adoption import Adoption
from worker.delivery.bundles.bundle_format import NotABundle
from worker.delivery.bundles.opening import BundleOpening
from worker.delivery.conclusions import undelivered
from worker.delivery.delivery import Delivery
from worker.delivery.endings import Endings
from worker.delivery.event_decisions import EventDecisions
from worker.delivery.fan_out import FanOut
from worker.delivery.giving_back import GivingBack
from worker.delivery.hourly_warnings import SkipWarnings
from worker.delivery.inlets.known_inlets import KnownInlets
from worker.delivery.inlets.mode_in_force import Routes
from worker.delivery.lanes.lane_registry import Lanes
from worker.delivery.outcome import Dead, Failure, Outcome, Parked, Skipped
from worker.delivery.park_delays import asking_seconds, hold_seconds
from worker.delivery.receipting import Receipting
from worker.delivery.returned_bundles import ReturnedBundles
from worker.delivery.returned_messages import GivingWay, ReturnedMessages
from worker.delivery.rounds.epoch_watch import EpochWatch
from worker.delivery.routing import Ends, Routing
from worker.delivery.screening import (
    Event,
    Screening,
    Suspect,
    Unowned,
    Unusable,
    readable_state,
)
from worker.delivery.slices import REST_SECONDS
from worker.delivery.successors import Successors
from worker.delivery.unknown_organizations import AskFleet, UnknownOrganizations
from worker.delivery.untried_endings import UntriedEndings
from worker.integrations.model import Integration
from worker.reasons import DeadReason, ParkReason

log = structlog.get_logger(__name__)


class Pipeline:
    """Handles messages: the `Handler` of a broker's sessions; `build_pipeline` has its parts."""

    def __init__(
        self,
        *,
        screening: Screening,
        routes: Routes,
        routing: Routing,
        inlets: KnownInlets,
        decisions: EventDecisions,
        lanes: Lanes,
        endings: Endings,
        untried: UntriedEndings,
        adoption: Adoption,
        giving_back: GivingBack,
        receipting: Receipting,
        successors: Successors,
        epochs: EpochWatch,
        returned_messages: ReturnedMessages,
        returned_bundles: ReturnedBundles,
        now_ms: Callable[[], int],
        ask_fleet: AskFleet | None,
    ) -> None:
        self.lanes = lanes
        self.parked_again = returned_bundles.parked_again
        self._screening = screening
        self._routes = routes
        self._routing = routing
        self._inlets = inlets
        self._decisions = decisions
        self._endings = endings
        self._untried = untried
        self._adoption = adoption
        self._receipting = receipting
        self._successors = successors
        self._epochs = epochs
        self._returned_messages = returned_messages
        self._returned_bundles = returned_bundles
        self._now_ms = now_ms
        self._opening = BundleOpening(self._open_bundle, self._take)
        returned_bundles.open_again = self._opening.add
        self.give_back = partial(giving_back.give_back, self._opening)
        self._giving_way = GivingWay(self._take)
        self._unknown = UnknownOrganizations(ask_fleet, partial(self._take, is_first=False))
        self._skip_warnings = SkipWarnings()
        self._fan_out = FanOut(self._decide, self._end, self._bury_whole, routes.get, now_ms)

    def handle(self, message: Incoming) -> None:
        """Handle a message that has come by an intake; see `Handler`."""
        headers = message.headers
        if headers and names.CONTRACT in headers and self._returned_messages.set_aside(message):
            return
        if headers and names.BUNDLE in headers:
            self._opening.add(message)
        elif message.source.gives_way():
            self._giving_way.add(message)
        else:
            self._take(message)

    def session_ended(self, host: Host) -> None:
        """Have all lanes let go of deliveries that the broker has again; see `Handler`."""
        self.lanes.drop_returned()

    def _take(self, message: Incoming, *, is_first: bool = True) -> None:
        """Handle one event, whose turn has come."""
        try:
            if message.headers and is_first:  # a fresh event has none
                self._returned_messages.note(message)
            self._handle(message)
        except Exception as error:
            self._bury_whole(message, error)

    def _handle(self, message: Incoming) -> None:
        now_ms = self._now_ms()
        match self._screening.screen(message, now_ms, self._epochs.fresh):
            case Event() as event:
                self._route(event, now_ms)
            case Suspect(returns):
                log.warning("message.set_apart", returns=returns)
                self._successors.move_to_suspects(message)
            case Unusable(state, reason, detail):
                outcome = Dead(reason, Failure(reason, detail))
                self._untried.end(message, state.integration_id, state, outcome, "", None)
            case Unowned(reason, event_id):
                fresh = self._epochs.fresh
                self._untried.end(message, "", fresh, Skipped(reason), event_id, None)

    def _route(self, event: Event, now_ms: int) -> None:
        """Each integration of the event's organization gets a delivery with a life of its own."""
        message, state, envelope, _ = event
        organization_id = envelope.organization_id
        if state.integration_id is None and not state.served:
            undoubted = self._routes.undoubted_for(organization_id)
            if len(undoubted) == 1:  # nearly all have one
                self._decide(event, undoubted[0], now_ms)
                return
            if undoubted:
                self._fan_out.decide_whole(event, undoubted)
                return
        parts = self._routing.parts(state, organization_id, now_ms)
        message.divide(len(parts))
        to: list[Integration] = []
        for part in parts:
            if isinstance(part, Ends):
                outcome = self._unknown.ending(message, part, organization_id)
                if outcome is None:
                    return
                ends = part._replace(outcome=outcome)
                self._skip_warnings.tell(ends, organization_id)
                self._end(event, ends.integration_id, outcome, ends.state)
            else:
                event = event if part.state is state else event._replace(state=part.state)
                to.append(part.integration)
        self._fan_out.decide(event, to)

    def _decide(self, event: Event, integration: Integration, now_ms: int) -> None:
        """What the event has to say to the integration, and whether its lane may have it."""
        message, state, envelope, is_suspect = event
        if (
            integration.payload_mode == "auto"
            and not integration.paused
            and self._inlets.is_unknown(integration)
        ):
            outcome = Parked(asking_seconds(state.parks), ParkReason.UNKNOWN_INLET)
            self._end(event, integration.id, outcome)
            return
        lane = self.lanes.of(integration)
        if lane.integration is not integration:
            self._adoption.adopt(lane, integration)
        if integration.paused:
            self._end(event, integration.id, Parked(hold_seconds(state.parks), ParkReason.PAUSED))
            return
        # A suspect of a failing or slow lane has done no harm so far, and would hold the one place
        # that all suspects share. What finds no room is undecided, or that would be done again.
        if is_suspect:
            has_room = lane.takes_suspects and self.lanes.may_send(lane)
        else:
            goes_on = lane.block.is_on or (state.attempts_made and self.lanes.may_send(lane))
            has_room = goes_on or self.lanes.has_room_for_one_of(message.source, lane)
        if not has_room:
            facts = self._receipting.facts(envelope, message.body, None)
            self._untried.park_for_room(lane, message, state, envelope.event_id, facts)
            return
        decided = self._decisions.decide(message, state, envelope, integration, now_ms, is_suspect)
        if not isinstance(decided, Delivery):
            self._end(event, integration.id, undelivered(decided))
        elif lane.block.is_on and not lane.block.claim_probe(time.monotonic()):
            self._endings.park_for_block(lane, decided)
        else:
            lane.offer(decided)

    def _end(
        self,
        event: Event,
        integration_id: str | None,
        outcome: Outcome,
        state: RetryState | None = None,
    ) -> None:
        """A delivery ends before it is in a lane."""
        message, own, envelope, _ = event
        facts = self._receipting.facts(envelope, message.body, None)
        self._untried.end(message, integration_id, state or own, outcome, envelope.event_id, facts)

    def _open_bundle(self, bundle: Incoming) -> tuple[list[Incoming], float]:
        try:
            self._returned_messages.note(bundle)
            return self._returned_bundles.open(bundle)
        except NotABundle as error:
            self._end_whole(bundle, DeadReason.INVALID_HEADERS, str(error))
        except Exception as error:
            self._bury_whole(bundle, error)
        return [], REST_SECONDS

    def _bury_whole(self, message: Incoming, error: Exception) -> None:
        """A bug must neither lose the message nor loop with it: it becomes one dead letter for all
        of its deliveries, whatever some of them do meanwhile.
        """
        log.exception("message.unexpected_error", error=type(error).__name__)
        whole = message.renewed()
        whole.headers = message.headers  # without what a producer must not say
        self._end_whole(whole, DeadReason.UNEXPECTED_ERROR, type(error).__name__)

    def _end_whole(self, message: Incoming, reason: DeadReason, detail: str) -> None:
        state, dead = readable_state(message), Dead(reason, Failure(reason, detail))
        self._untried.end(message, state.integration_id, state, dead, "", None)
