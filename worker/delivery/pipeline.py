"""The way of a message, from intake to a durable outcome. Read it top to bottom.

decode → route → for each integration: decide → its lane → rounds at Adobe → outcome. An outcome
that needs a successor (a retry, a parked event, a dead letter) is published and confirmed before
the delivery counts as settled, and a message is acknowledged when all of its deliveries are. A
crash at any point repeats work and loses none.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import structlog

from worker.adobe.replies import Accepted, NoProfile, Permanent, Retryable
from worker.broker import headers as names
from worker.broker.consumer import Incoming
from worker.broker.delay import DelayKindTargets, by_few_levels, due_at_ms
from worker.broker.headers import epoch_in, integration_id_in, lateness_seconds
from worker.broker.retry_state import (
    FRESH,
    InvalidHeaders,
    RetryState,
    read_retry_state,
    write_retry_state,
)
from worker.broker.session import Session
from worker.broker.successor import successor_of
from worker.broker.topology import Names
from worker.delivery.bundles.format import MOST_EVENTS, NotABundle, first_body
from worker.delivery.bundles.gathering import (
    LONGEST_HOLD_SECONDS,
    Parking,
    asking_seconds,
    hold_seconds,
)
from worker.delivery.bundles.opening import HURRY_SECONDS, REST_SECONDS, Opening, events_of
from worker.delivery.delivery import Delivery
from worker.delivery.hourly import Hourly
from worker.delivery.inlets.known import KnownInlets
from worker.delivery.inlets.routes import Routes, RoutesInForce
from worker.delivery.inlets.sender import ListeningSender
from worker.delivery.inlets.trial import Trials
from worker.delivery.lanes.begun import Begun
from worker.delivery.lanes.block import SETUP_ERRORS, Block
from worker.delivery.lanes.lane import Lane, Pauses
from worker.delivery.lanes.pacing import RequestPace
from worker.delivery.lanes.registry import Lanes
from worker.delivery.outcome import (
    Dead,
    DeadReason,
    Failure,
    Outcome,
    Parked,
    ParkReason,
    RepeatEnd,
    Retried,
    ReturnKind,
    Skipped,
)
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.rounds.results import (
    Busy,
    Crashed,
    Duplicate,
    Emptied,
    Erased,
    NoChoices,
    Result,
    Superseded,
)
from worker.delivery.rounds.round import Courier, Sender
from worker.delivery.rounds.store_gate import StoreGate
from worker.events import Envelope, UndecodableEvent, open_envelope
from worker.integrations.model import Integration
from worker.ordering.users import UserKeys
from worker.ordering.values import Seals
from worker.redaction import shown_name
from worker.transform.decide import decide, unowned_deletion
from worker.transform.decision import Deliver, Early, Reject, Skip, SkipReason

log = structlog.get_logger(__name__)

SUSPECT_AFTER: Final = 2
"""Returns after which a message may be what takes its workers down, and is handled alone."""
_DETAIL_BYTES: Final = 1024
_UNREADABLE: Final = (
    "a header can't be read (nested too deep, text that is not UTF-8, a time out of range, or too "
    "many): it is lost, the body is not"
)
_BUSY_SECONDS: Final = 0.25
_NO_ANSWER_YET: Final = Failure("timeout", "no answer yet; the request goes on")
_SKIP_REASONS: Final[dict[type, SkipReason]] = {
    Superseded: "superseded",
    Duplicate: "duplicate",
    Emptied: "emptied",
    NoChoices: "no-choices",
    Erased: "erased",
    NoProfile: "no-profile",
}
_TELLS_NOTHING: Final = (Superseded, Duplicate, Emptied, NoChoices, Erased, Busy)
"""Of these nothing was sent, so they say nothing of the set-up."""
_FEW_OF_A_BUNDLE: Final = MOST_EVENTS // 8
"""What has fewer events is opened even if all of them are parked again: so small bundles grow into
large ones, instead of filling the queue in which others' events wait too."""
_SPENDS_PATIENCE: Final = frozenset({"blocked", "in-doubt"})
"""What an event is parked for only so long; an operator's pause may last."""
_SPARES_BUDGET: Final = frozenset({"blocked", "in-doubt", "paused", "unknown-inlet"})
"""What stops the schedule of an event that was attempted. Nothing else does."""


class Observer(Protocol):
    """Is told of every outcome: metrics and the log listen here."""

    def outcome(
        self, integration_id: str, outcome: Outcome, seconds: float, event_id: str
    ) -> None: ...
    def delivered(self, integration_id: str, accepted: list[tuple[Delivery, Accepted]]) -> None: ...
    def accepted_late(
        self, integration_id: str, accepted: list[tuple[Delivery, Accepted]]
    ) -> None: ...
    def delivered_late(self, integration_id: str, delivery: Delivery) -> None: ...
    def repeat_planned(self, integration_id: str, event_id: str, delay_seconds: float) -> None: ...
    def repeat_ended(
        self, integration_id: str, event_id: str, end: RepeatEnd, seconds: float
    ) -> None: ...
    def parked_again(self, integration_id: str, reason: ParkReason, events: int) -> None: ...
    def came_back(self, kind: ReturnKind, late_seconds: float) -> None: ...
    def blocked(self, integration_id: str, failure: Failure) -> None: ...
    def unblocked(self, integration_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_event_bytes` of a body; `poison_after` returns of a message that was handled alone;
    seconds between two probes of a blocked integration, and until its events are given up; events
    that one integration may have in requests at a time; due retries in hand; seconds for which a
    request without a valid answer may still be carried out.
    """

    max_event_bytes: int
    poison_after: int
    block_probe_seconds: float = 15.0
    block_patience_seconds: float = 86_400.0
    events_in_flight: int = 500
    retries_in_hand: int = 2_000
    unclear_seconds: float = 120.0


class Pipeline:
    """Handles messages: the `Handler` of a broker's sessions."""

    def __init__(
        self,
        *,
        routes: Routes,
        sender: Sender,
        gate: StoreGate,
        users: UserKeys,
        seals: Seals | None = None,
        policy: RetryPolicy,
        delay: DelayKindTargets,
        queues: Names,
        limits: Limits,
        observer: Observer,
        inlets: KnownInlets | None = None,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311
    ) -> None:
        inlets = inlets or KnownInlets()
        self._routes = RoutesInForce(routes, inlets)
        self._inlets = inlets
        self._users = users
        self._policy = policy
        self._delay = delay
        self._queues = queues
        self._return_kinds: dict[str, ReturnKind] = {
            queues.retries: "retry",
            queues.parked: "parked",
        }
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._jitter = jitter
        self._gate = gate
        self._epochs = gate.epochs
        attempt_seconds = policy.attempt_timeout_seconds
        self._courier = Courier(
            ListeningSender(sender, inlets), gate, attempt_seconds, limits.unclear_seconds, seals
        )
        self._trials = Trials(self._courier, gate, self._end_trial)
        self._pace = RequestPace()
        self._parking = Parking(delay, self._now_ms)
        self._hourly = Hourly()
        self._opening = Opening(self._open_guarded, self.take)
        self._begun = Begun(limits.retries_in_hand, time.monotonic)
        self.lanes = Lanes(self._new_lane, self._give_up, gate)
        gate.epochs.when_accepted(self._end_blocks_of_loss)

    def take(self, message: Incoming) -> None:
        """See `Handler`."""
        try:
            self._take(message)
        except Exception as error:
            self._bury_after(error, message)

    def _bury_after(self, error: Exception, message: Incoming) -> None:
        """A bug must neither lose the message nor loop with it."""
        log.exception("message.unexpected_error", error=type(error).__name__)
        # One dead letter for all of its deliveries, whatever some of them do meanwhile.
        whole = message.take_over()
        whole.headers = message.headers  # without what a producer must not say
        self._bury(whole, _readable_state(whole), "unexpected-error", type(error).__name__)

    def _open_guarded(self, bundle: Incoming) -> tuple[list[Incoming], float]:
        try:
            return self._open_or_park_again(bundle)
        except Exception as error:
            self._bury_after(error, bundle)
            return [], REST_SECONDS

    def forget(self, session: Session) -> None:
        """See `Handler`."""
        self.lanes.drop_lost()

    # From a message to deliveries

    def _take(self, message: Incoming) -> None:
        returns = 0
        if message.headers:  # a fresh event has none
            self._note_return(message)
            if names.BUNDLE in message.headers:
                self._opening.add(message)
                return
            returns = _returns_of(message)
        is_alone = message.queue == self._queues.suspects
        if returns >= SUSPECT_AFTER and not is_alone:
            self._set_apart(message, returns)
            return
        if not message.is_readable:
            self._bury(message, FRESH, "invalid-headers", _UNREADABLE)
            return
        try:
            state = read_retry_state(message.headers, self._now_ms(), self._epochs.fresh)
        except InvalidHeaders as error:
            self._bury(message, _readable_state(message), "invalid-headers", str(error))
            return
        if is_alone and returns >= self._limits.poison_after:
            detail = f"its worker went down {returns} times while it was handled alone"
            self._bury(message, state, "poison", detail)
            return
        self._open(message, state, is_alone)

    def _open(self, message: Incoming, state: RetryState, is_alone: bool) -> None:
        """Find out whose event it is."""
        if len(message.body) > self._limits.max_event_bytes:
            detail = f"the body has more than {self._limits.max_event_bytes} bytes"
            self._bury(message, state, "too-large", detail)
            return
        try:
            envelope = open_envelope(message.body)
        except UndecodableEvent as error:
            self._bury(message, state, error.reason, str(error))
            return
        if envelope.is_snapshot:
            envelope = self._users.without_person(envelope)
        if not envelope.organization_id:
            self._skip(message, "", Skipped(unowned_deletion(envelope).reason), envelope.event_id)
            return
        if state.integration_id is not None:
            self._route_named(message, state, state.integration_id, envelope, is_alone)
        else:
            self._route(message, state, envelope, is_alone)

    def _note_return(self, message: Incoming) -> None:
        """See what the headers of a message say beside its state."""
        if names.EPOCH in message.headers:
            self._note_epoch(message)
        self._note_lateness(message)

    def _note_lateness(self, message: Incoming) -> None:
        """Tell how late a message comes out of the delay, the first time that it is handed out."""
        kind = self._return_kinds.get(message.queue)
        if kind is None or names.DUE_AT not in message.headers or _returns_of(message):
            return
        late_seconds = lateness_seconds(message.headers, self._now_ms())
        if late_seconds is not None:
            self._observer.came_back(kind, late_seconds)

    def _note_epoch(self, message: Incoming) -> None:
        """What comes back tells whether the state is still that under which it was published. A
        producer knows nothing of the state.
        """
        if message.queue == self._queues.events:
            message.headers = {
                name: value for name, value in message.headers.items() if name != names.EPOCH
            }
        elif (epoch := epoch_in(message.headers)) is not None:
            self._epochs.meet(epoch)

    def _open_or_park_again(self, bundle: Incoming) -> tuple[list[Incoming], float]:
        """The turn of a bundle of parked events has come: those that are to be handled now, and
        for how long to rest after a slice of them while fresh events come.
        """
        returns = _returns_of(bundle)
        if not returns and self._park_again(bundle):
            return [], REST_SECONDS
        try:
            events = events_of(bundle, returns)
        except NotABundle as error:
            self._bury(bundle, _readable_state(bundle), "invalid-headers", str(error))
            return [], REST_SECONDS
        integration = self._named_by(bundle)
        lane = self.lanes.of(integration) if integration is not None else None
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
        try:
            state = read_retry_state(bundle.headers, self._now_ms())
        except InvalidHeaders:
            return False
        if state.attempts_made or self._is_out_of_patience(state):
            return False
        outcome = self._still_parked(bundle, state, events)
        if outcome is None:
            return False
        after = _after(state, outcome, state.integration_id)
        self._observer.parked_again(state.integration_id or "", outcome.reason, events)
        own = write_retry_state(after) | _error_of(outcome) | {names.BUNDLE: events}
        self._publish_delayed(bundle, own, outcome.delay_seconds, bundle.settle, parked=True)
        return True

    def _still_parked(self, bundle: Incoming, state: RetryState, events: int) -> Parked | None:
        """Why the events of a bundle can't go on now; None when one of them may."""
        integration = self._named_by(bundle)
        if integration is None:
            return self._still_in_doubt(bundle, state)
        if not integration.enabled:
            return None
        if integration.paused:
            return Parked(hold_seconds(state.parks), "paused")
        if integration.payload_mode == "auto" and self._is_unknown(integration):
            return Parked(asking_seconds(state.parks), "unknown-inlet")
        lane = self.lanes.of(integration)
        if lane.integration is not integration:
            return None
        now = time.monotonic()
        if lane.block.is_on:
            if lane.block.is_probe_due(now):
                return None
            delay = lane.block.parking_delay(state.parks, now)
            return Parked(delay, "blocked", lane.block.failure)
        if events < _FEW_OF_A_BUNDLE or self.lanes.has_room_for_one_of(bundle.intake, lane):
            return None
        return Parked(by_few_levels(lane.parking_delay(events)), "lane-full")

    def _still_in_doubt(self, bundle: Incoming, state: RetryState) -> Parked | None:
        try:
            organization_id = open_envelope(first_body(bundle.body)).organization_id
        except (NotABundle, UndecodableEvent):
            return None
        if state.integration_id is None and self._ids_beyond(state.served, organization_id):
            return None
        if self._doubt(state.integration_id, organization_id) is None:
            return None
        return Parked(hold_seconds(state.parks), "in-doubt")

    def _doubt(self, integration_id: str | None, organization_id: str) -> str | None:
        """Why nobody can say now where an event goes that names no integration in force."""
        routes = self._routes
        if integration_id is not None:
            match routes.missing_for(organization_id).get(integration_id):
                case "broken":
                    return f"the configuration of {integration_id} is not valid; see the log"
                case "gone":
                    return f"{integration_id} was in force within the last 24 hours, and is gone"
        if routes.for_organization(organization_id) or routes.disabled_for(organization_id):
            return routes.doubt_about_all()
        return routes.doubt_about(organization_id)

    def _ids_beyond(self, served: tuple[str, ...], organization_id: str) -> list[str]:
        """The organization's integrations, missing ones too, that are not among `served`."""
        routes = self._routes
        in_force = routes.for_organization(organization_id) + routes.disabled_for(organization_id)
        ids = [one.id for one in in_force] + list(routes.missing_for(organization_id))
        return [one for one in ids if one not in served]

    def _route(
        self, message: Incoming, state: RetryState, envelope: Envelope, is_alone: bool
    ) -> None:
        """Each integration of the event's organization gets a delivery with a life of its own."""
        undoubted = () if state.served else self._routes.undoubted_for(envelope.organization_id)
        if undoubted:
            message.open_deliveries = len(undoubted)
            for integration in undoubted:
                self._decide(message, state, integration, envelope, is_alone)
        else:
            self._route_in_parts(message, state, envelope, is_alone)

    def _route_in_parts(
        self, message: Incoming, state: RetryState, envelope: Envelope, is_alone: bool
    ) -> None:
        """Where some of the integrations are disabled, missing, served or in doubt, or none is."""
        routes, organization_id = self._routes, envelope.organization_id
        integrations = routes.for_organization(organization_id)
        disabled = routes.disabled_for(organization_id)
        missing = routes.missing_for(organization_id)
        doubt_about_all = routes.doubt_about_all()
        if state.served:
            integrations = [one for one in integrations if one.id not in state.served]
            disabled = [one for one in disabled if one.id not in state.served]
        elif not (integrations or disabled or missing):
            self._route_unknown(message, state, envelope)
            return
        if missing or state.served or doubt_about_all is not None:
            copies = self._copies_in_doubt(state, organization_id, doubt_about_all)
            state = replace(state, served=())
        else:
            copies = []
        message.open_deliveries = len(integrations) + len(disabled) + len(copies)
        if not message.open_deliveries:
            # A copy for an integration that might have been: there is none, and no outcome.
            message.open_deliveries = 1
            message.settle()
            return
        for copy in copies:
            doubt = self._doubt(copy.integration_id, organization_id) or ""
            kind = missing.get(copy.integration_id or "", "broken")
            reason: DeadReason = "unknown-integration" if kind == "gone" else "invalid-integration"
            self._park_in_doubt(message, copy, envelope, reason, doubt)
        for integration in disabled:
            self._tell_disabled(integration.id)
            self._skip(message, integration.id, Skipped("disabled"), envelope.event_id)
        for integration in integrations:
            self._decide(message, state, integration, envelope, is_alone)

    def _route_unknown(self, message: Incoming, state: RetryState, envelope: Envelope) -> None:
        """An event whose organization has no integration, nor had one lately."""
        doubt = self._doubt(None, envelope.organization_id)
        if doubt is None:
            self._tell_unknown(envelope.organization_id)
            self._skip(message, "", Skipped("no-integration"), envelope.event_id)
        else:
            self._park_in_doubt(message, state, envelope, "no-integration", doubt)

    def _copies_in_doubt(
        self, state: RetryState, organization_id: str, doubt_about_all: str | None
    ) -> list[RetryState]:
        """The states of copies that wait: one for each integration that is missing, and one for
        those that nobody may know of.
        """
        ids = self._ids_beyond(state.served, organization_id)
        served = (*state.served, *ids)
        copies = [
            replace(
                state, integration_id=one, served=tuple(other for other in served if other != one)
            )
            for one in self._routes.missing_for(organization_id)
            if one in ids
        ]
        if doubt_about_all is not None:
            copies.append(replace(state, served=served))
        return copies

    def _tell_unknown(self, organization_id: str) -> None:
        if self._hourly.is_due(f"organization {organization_id}", time.monotonic()):
            log.warning("organization.unknown", organization=shown_name(organization_id))

    def _tell_disabled(self, integration_id: str) -> None:
        if self._hourly.is_due(f"integration {integration_id}", time.monotonic()):
            log.warning("integration.skipped", integration=integration_id)

    def _route_named(
        self,
        message: Incoming,
        state: RetryState,
        integration_id: str,
        envelope: Envelope,
        is_alone: bool,
    ) -> None:
        """A retry, a parked event or a replay, for one integration only."""
        integration = self._routes.get(integration_id)
        organization_id = envelope.organization_id
        is_theirs = integration is not None and integration.organization_id == organization_id
        if integration is None or not is_theirs:
            self._route_lost(message, state, integration_id, envelope, is_alone)
        elif not integration.enabled:
            detail = "enable it, then replay"
            self._bury(message, state, "integration-disabled", detail, envelope.event_id)
        elif not self._policy.may_attempt(
            state.attempts_made, state.elapsed_seconds(self._now_ms())
        ):
            detail = "it came back after its retry budget"
            self._bury(message, state, "retries-exhausted", detail, envelope.event_id)
        else:
            self._decide(message, state, integration, envelope, is_alone)

    def _route_lost(
        self,
        message: Incoming,
        state: RetryState,
        integration_id: str,
        envelope: Envelope,
        is_alone: bool,
    ) -> None:
        """An event whose integration is not in force, or not its organization's any more."""
        organization_id = envelope.organization_id
        doubt = self._doubt(integration_id, organization_id)
        others = self._ids_beyond((integration_id,), organization_id)
        if doubt is not None:
            kind = self._routes.missing_for(organization_id).get(integration_id)
            reason: DeadReason = (
                "invalid-integration" if kind == "broken" else "unknown-integration"
            )
            # Each of the others has had a delivery of its own when this one was made.
            served = replace(state, served=state.served or tuple(others))
            self._park_in_doubt(message, served, envelope, reason, doubt)
        elif (
            state.blocked_since_ms is not None
            and not (state.attempts_made or state.is_repeat)
            and self._ids_beyond(state.served, organization_id)
        ):
            # It was never tried, and its integration may have got another id while it waited.
            self._route(message, replace(state, integration_id=None), envelope, is_alone)
        else:
            detail = "its organization has no integration with this id"
            self._bury(message, state, "unknown-integration", detail, envelope.event_id)

    def _park_in_doubt(
        self,
        message: Incoming,
        state: RetryState,
        envelope: Envelope,
        reason: DeadReason,
        doubt: str,
    ) -> None:
        """Nobody can say now where the event goes; `reason` is that of its dead letter when nobody
        could for as long as a block may last.
        """
        if self._is_out_of_patience(state):
            self._bury(message, state, reason, doubt, envelope.event_id)
            return
        since = replace(state, blocked_since_ms=state.blocked_since_ms or self._now_ms())
        delay = hold_seconds(state.parks)
        outcome = Parked(delay, "in-doubt", organization_id=envelope.organization_id)
        began = time.monotonic()
        self._follow(message, state.integration_id, since, outcome, began, envelope.event_id)

    def _is_out_of_patience(self, state: RetryState) -> bool:
        since = state.blocked_since_ms
        patience_ms = self._limits.block_patience_seconds * 1000
        return since is not None and self._now_ms() - since > patience_ms

    def _decide(
        self,
        message: Incoming,
        state: RetryState,
        integration: Integration,
        envelope: Envelope,
        is_alone: bool,
    ) -> None:
        if integration.payload_mode == "auto" and self._is_unknown(integration):
            self._park_asking(message, state, integration, envelope.event_id)
            return
        lane = self.lanes.of(integration)
        if lane.integration is not integration:
            self._adopt(lane, integration)
        if integration.paused:
            self._park_untried(message, state, integration, "paused", envelope.event_id)
            return
        if is_alone and lane.is_failing:
            # It has done no harm so far, and would hold the one place that all suspects share.
            self._park_for_room(lane, message, state, time.monotonic(), envelope.event_id)
            return
        goes_on = is_alone or lane.block.is_on or state.attempts_made > 0
        if not goes_on and not self.lanes.has_room_for_one_of(message.intake, lane):
            # Undecided, since that would have to be done again: what is parked for a lane that
            # hangs is to cost others as little as can be.
            self._park_for_room(lane, message, state, time.monotonic(), envelope.event_id)
            return
        decision = decide(integration, envelope, self._now_ms())
        if not isinstance(decision, Deliver):
            self._end_undelivered(message, state, integration, decision, envelope.event_id)
            return
        identity = decision.identity
        user = self._users.user_key(integration.id, identity.place, identity.value)
        if decision.didomi_user is not None:
            decision = self._users.without_didomi_user(integration.id, decision)
        delivery = Delivery(message, state, integration, decision, user, is_alone)
        if lane.block.is_on and not lane.block.take_probe(time.monotonic()):
            self._park_for_block(delivery, lane.block)
        else:
            lane.offer(delivery)

    def _end_undelivered(
        self,
        message: Incoming,
        state: RetryState,
        integration: Integration,
        decision: Skip | Early | Reject,
        event_id: str,
    ) -> None:
        match decision:
            case Skip(reason):
                self._skip(message, integration.id, Skipped(reason), event_id, state)
            case Early():
                self._park_early(message, state, integration, decision, event_id)
            case Reject(reason, detail):
                named = replace(state, integration_id=integration.id)
                self._bury(message, named, reason, detail, event_id)

    def _is_unknown(self, integration: Integration) -> bool:
        """Whether nobody knows yet in which form its inlet, of the mode auto, takes messages."""
        return not integration.paused and self._inlets.is_unknown(integration)

    def _park_asking(
        self, message: Incoming, state: RetryState, integration: Integration, event_id: str
    ) -> None:
        outcome = Parked(asking_seconds(state.parks), "unknown-inlet")
        self._follow(message, integration.id, state, outcome, time.monotonic(), event_id)

    def _adopt(self, lane: Lane, integration: Integration) -> None:
        """A changed configuration is in force."""
        is_other_form = lane.integration.payload_mode != integration.payload_mode
        if lane.adopt(integration):
            self._observer.unblocked(integration.id)
        if integration.paused:
            for delivery in lane.clear():
                self._park_untried(
                    delivery.message,
                    delivery.state,
                    integration,
                    "paused",
                    delivery.choice.event_id,
                )
        elif is_other_form:  # what waits was decided for the form of before
            for delivery in lane.clear():
                self._wait_for_form(delivery)

    def _park_untried(
        self,
        message: Incoming,
        state: RetryState,
        integration: Integration,
        reason: ParkReason,
        event_id: str,
    ) -> None:
        outcome = Parked(hold_seconds(state.parks), reason)
        self._follow(message, integration.id, state, outcome, time.monotonic(), event_id)

    def _park_early(
        self,
        message: Incoming,
        state: RetryState,
        integration: Integration,
        early: Early,
        event_id: str,
    ) -> None:
        """The event is of the future: its producer's clock is fast, or ours is slow."""
        outcome = Parked(min(early.seconds + 1, LONGEST_HOLD_SECONDS), "not-yet")
        self._follow(message, integration.id, state, outcome, time.monotonic(), event_id)

    # From results to outcomes

    def _conclude(self, lane: Lane, results: list[tuple[Delivery, Result]]) -> None:
        """The results of one round."""
        accepted: list[tuple[Delivery, Accepted]] = []
        accepted_late: list[tuple[Delivery, Accepted]] = []
        # One for all, so that what was sent together is due together, and fits one request again.
        jitter = self._jitter()
        for delivery, result in results:
            if isinstance(result, Accepted):
                lane.suspicion.accepted()
                if delivery.is_handed_over:
                    lane.through_late(delivery)
                    accepted_late.append((delivery, result))
                    continue
                if delivery.state.is_repeat:
                    self._end_repeat(delivery, "repeated")
                else:
                    accepted.append((delivery, result))
                self._settle(lane, delivery)
            elif not delivery.is_handed_over:  # or its outcome is left to its successor
                self._conclude_one(lane, delivery, result, jitter)
        if accepted:
            self._observer.delivered(lane.integration.id, accepted)
        if accepted_late:
            self._observer.accepted_late(lane.integration.id, accepted_late)
        if lane.block.is_on:
            self._look_at_block(lane, [result for _, result in results])

    def _look_at_block(self, lane: Lane, results: list[Result]) -> None:
        """What the answers that a blocked lane got say of its set-up."""
        if any(_shows_a_right_setup(one) for one in results):
            lane.block.end()
            self._observer.unblocked(lane.integration.id)
            return
        if all(isinstance(one, _TELLS_NOTHING) for one in results):
            lane.block.told_nothing(time.monotonic())
        for delivery in lane.clear():
            self._park_for_block(delivery, lane.block)

    def _conclude_one(self, lane: Lane, delivery: Delivery, result: Result, jitter: float) -> None:
        match result:
            case Duplicate() if delivery.state.is_handed_over:
                # Its request succeeded after all. Told only now: told then, there would be a second
                # outcome where a newer choice comes between, or the stamp is lost.
                self._observer.delivered_late(lane.integration.id, delivery)
                self._settle(lane, delivery)
            case Superseded() | Duplicate() | Emptied() | NoChoices() | Erased() | NoProfile():
                self._tell_skipped(delivery, _SKIP_REASONS[type(result)])
                self._settle(lane, delivery)
            case Busy():
                self._hand_on(delivery, Parked(self._busy_delay(delivery, result), "busy"))
            case Permanent(fault=fault) if lane.suspicion.concerns(fault):
                self._suspect_setup(lane, delivery, result, jitter)
            case Permanent(error, detail, http_status):
                failure = Failure(error, detail, http_status)
                self._hand_on(delivery, Dead("adobe-rejected", failure), attempted=True)
            case Retryable("inlet-mismatch"):
                self._meet_mismatch(lane, delivery, result)
            case Retryable(error) if error in SETUP_ERRORS:
                self._block(lane, delivery, result)
            case Retryable():
                self._retry_or_give_up(delivery, result, jitter)
            case Crashed(name):
                failure = Failure("unexpected-error", name)
                self._hand_on(delivery, Dead("unexpected-error", failure), attempted=True)

    def _block(self, lane: Lane, delivery: Delivery, reply: Retryable | Permanent) -> None:
        failure = Failure(reply.error, reply.detail, reply.http_status)
        if lane.block.failed(failure, time.monotonic()):
            self._observer.blocked(lane.integration.id, failure)
        self._park_for_block(delivery, lane.block)

    def _end_blocks_of_loss(self) -> None:
        """An operator has accepted what the state has lost: nobody has to wait for a probe."""
        for lane in self.lanes:
            failure = lane.block.failure
            if failure is not None and failure.error == "state-lost" and lane.block.end():
                self._observer.unblocked(lane.integration.id)

    def _meet_mismatch(self, lane: Lane, delivery: Delivery, reply: Retryable) -> None:
        """Adobe does not take the form in which the event was sent."""
        match self._inlets.after_mismatch(lane.integration):
            case "block":
                self._block(lane, delivery, reply)
            case "wait":
                self._wait_for_form(delivery)
            case Integration() as whole:
                self._try_whole(delivery, whole)

    def _wait_for_form(self, delivery: Delivery) -> None:
        """It comes back in a moment, and is decided anew."""
        delay = asking_seconds(delivery.state.parks)
        self._hand_on(delivery, Parked(delay, "unknown-inlet"))

    def _try_whole(self, delivery: Delivery, whole: Integration) -> None:
        """Decided anew, since a whole record needs more of an event."""
        message, state = delivery.message, delivery.state
        choice = decide(whole, open_envelope(message.body), self._now_ms())
        if isinstance(choice, Deliver):
            choice = self._users.without_didomi_user(whole.id, choice)
            anew = Delivery(message, state, whole, choice, delivery.user, delivery.is_alone)
            self._trials.begin(whole, anew)
        else:
            self._end_trial(whole, delivery, None)

    def _end_trial(self, whole: Integration, delivery: Delivery, result: Result | None) -> None:
        """An event has been tried in the other form, or could not be."""
        refused_twice = self._inlets.tried(whole, result)
        lane = self.lanes.of(delivery.integration)
        if refused_twice is not None:
            self._block(lane, delivery, refused_twice)
        elif result is None:
            self._wait_for_form(delivery)
        else:
            self._conclude(lane, [(delivery, result)])

    def _settle(self, lane: Lane, delivery: Delivery) -> None:
        """Acknowledge at once; or, what is to be repeated, when a copy is confirmed that comes back
        when no older choice can be carried out any more.
        """
        seconds = delivery.repeat_seconds
        if seconds is None:
            delivery.message.settle()
            return
        integration_id, replays = lane.integration.id, delivery.state.replays
        self._observer.repeat_planned(integration_id, delivery.choice.event_id, seconds)
        own = write_retry_state(RetryState(integration_id, replays=replays, is_repeat=True))
        self._publish_delayed(delivery.message, own, seconds, lane.confirming(delivery))

    def _suspect_setup(
        self, lane: Lane, delivery: Delivery, refusal: Permanent, jitter: float
    ) -> None:
        """A refusal that speaks of the set-up: the event is tried again, until so many are refused
        that the integration is blocked, and no event is dead for it.
        """
        if lane.suspicion.refused(delivery.user) or lane.block.is_on:
            self._block(lane, delivery, refusal)
        else:
            again = Retryable(refusal.error, refusal.detail, refusal.http_status)
            self._retry_or_give_up(delivery, again, jitter, "adobe-rejected")

    def _retry_or_give_up(
        self,
        delivery: Delivery,
        reply: Retryable,
        jitter: float,
        dead_reason: DeadReason = "retries-exhausted",
    ) -> None:
        failure = Failure(reply.error, reply.detail, reply.http_status)
        made = self._after_attempt(delivery)
        delay = self._policy.next_delay(
            made.attempts_made,
            made.elapsed_seconds(self._now_ms()),
            jitter=jitter,
            retry_after_seconds=reply.retry_after_seconds,
        )
        if delay is None:
            self._hand_on(delivery, Dead(dead_reason, failure), attempted=True)
        else:
            self._hand_on(delivery, Retried(delay, failure), attempted=True)

    def _hand_over(self, lane: Lane, deliveries: list[Delivery]) -> None:
        """Their request has had no answer for long: publish what would follow if it had none at
        all, so that they need not stay in hand until its time is over. What has no retry left
        stays.
        """
        jitter = self._jitter()
        limit = self._policy.attempt_timeout_seconds
        for delivery in deliveries:
            made = self._after_attempt(delivery)
            remaining = max(0.0, delivery.attempt_began + limit - time.monotonic())
            delay = self._policy.next_delay(
                made.attempts_made,
                made.elapsed_seconds(self._now_ms()) + remaining,
                jitter=jitter,
            )
            if delay is not None:
                self._hand_on(delivery, Retried(remaining + delay, _NO_ANSWER_YET), attempted=True)
                delivery.is_handed_over = True

    def _park_for_room(
        self, lane: Lane, message: Incoming, state: RetryState, began: float, event_id: str
    ) -> None:
        outcome = Parked(by_few_levels(lane.parking_delay()), "lane-full")
        self._follow(message, lane.integration.id, state, outcome, began, event_id)

    def _give_up(self, lane: Lane, delivery: Delivery) -> None:
        """The lane has to let go of what it holds."""
        event_id = delivery.choice.event_id
        self._park_for_room(lane, delivery.message, delivery.state, delivery.began, event_id)

    def _busy_delay(self, delivery: Delivery, busy: Busy) -> float:
        """Seconds to park. A lease is mostly given back after one request; only that of a worker
        that died runs out.
        """
        wait = busy.wait_seconds
        if busy.is_held:
            wait = min(wait, _BUSY_SECONDS * (1 << min(delivery.state.parks, 6)))
        return wait + _BUSY_SECONDS * (1.5 + self._jitter())

    def _park_for_block(self, delivery: Delivery, block: Block) -> None:
        failure = block.failure or Failure("adobe-refused", "")
        if self._is_out_of_patience(delivery.state):
            self._hand_on(delivery, Dead("setup-failure", failure))
            return
        since = delivery.state.blocked_since_ms or self._now_ms()
        parks = delivery.state.parks
        delay = block.parking_delay(parks, time.monotonic())
        delivery.state = replace(delivery.state, blocked_since_ms=since)
        self._hand_on(delivery, Parked(delay, "blocked", failure))

    # From outcomes to the broker

    def _hand_on(self, delivery: Delivery, outcome: Outcome, *, attempted: bool = False) -> None:
        """Publish the successor of a delivery; `attempted` counts one more attempt."""
        state = self._after_attempt(delivery) if attempted else delivery.state
        due_at = None
        if isinstance(outcome, Retried):
            # And a moment more, until it is here again or with another worker.
            late = self._policy.min_gap_seconds
            due_at = time.monotonic() + outcome.delay_seconds + late
        self._follow(
            delivery.message,
            delivery.integration.id,
            state,
            outcome,
            delivery.began,
            delivery.choice.event_id,
            self.lanes.of(delivery.integration).confirming(delivery, due_at),
        )

    def _follow(
        self,
        message: Incoming,
        integration_id: str | None,
        state: RetryState,
        outcome: Outcome,
        began: float,
        event_id: str,
        settle: Callable[[], None] | None = None,
    ) -> None:
        """Tell of an outcome, and publish the successor that it needs; `state` is that before.
        `settle` is called when the broker has confirmed it, in place of the message's own.
        """
        self._tell(integration_id or "", outcome, began, event_id)
        after = _after(state, outcome, integration_id)
        self._make_durable(message, after, outcome, settle or message.settle)

    def _bury(
        self, message: Incoming, state: RetryState, reason: Any, detail: str, event_id: str = ""
    ) -> None:
        """A message that can't be used becomes a dead letter."""
        outcome = Dead(reason, Failure(reason, detail))
        self._follow(message, state.integration_id, state, outcome, time.monotonic(), event_id)

    def _make_durable(
        self,
        message: Incoming,
        state: RetryState,
        outcome: Outcome,
        settle: Callable[[], None],
    ) -> None:
        """Publish the successor that an outcome needs, and settle when it is confirmed."""
        own = write_retry_state(state)
        if state.epoch is None:
            own |= write_retry_state(self._epochs.fresh)
        match outcome:
            case Retried(delay_seconds, failure):
                self._publish_delayed(message, own | _about(failure), delay_seconds, settle)
            case Parked(delay_seconds, "busy"):
                # It comes back as a due retry does: the user is free in a moment.
                self._publish_delayed(message, own, delay_seconds, settle)
            # A suspect is parked at once: to wait for others that make a bundle with it would keep
            # the one place of all suspects.
            case Parked() if not state.attempts_made and message.queue != self._queues.suspects:
                self._parking.park(message, state, own | _error_of(outcome), outcome, settle)
            case Parked(delay_seconds, _, cause):
                about = _about(cause) if cause is not None else {}
                self._publish_delayed(message, own | about, delay_seconds, settle, parked=True)
            case Dead(reason, failure):
                own[names.DEAD_REASON] = reason
                own[names.DEAD_AT] = self._now_ms()
                own |= _about(failure)
                self._publish(message, self._queues.dead_letters, "", own, settle)

    def _publish_delayed(
        self,
        message: Incoming,
        own: dict[str, Any],
        delay_seconds: float,
        settle: Callable[[], None],
        *,
        parked: bool = False,
    ) -> None:
        to = self._delay.target(delay_seconds, parked=parked)
        due = {names.DUE_AT: due_at_ms(delay_seconds, self._now_ms())}
        self._publish(
            message,
            to.exchange,
            to.routing_key,
            own | due | to.headers,
            settle,
            mandatory=to.mandatory,
        )

    def _publish(
        self,
        message: Incoming,
        exchange: str,
        routing_key: str,
        own: dict[str, Any],
        settle: Callable[[], None],
        *,
        mandatory: bool = True,
    ) -> None:
        message.session.publish(
            exchange,
            routing_key,
            successor_of(message.properties, own),
            message.body,
            settle,
            mandatory=mandatory,
        )

    def _set_apart(self, message: Incoming, returns: int) -> None:
        """Move a suspect, unread, to the queue whose messages are handled one at a time.

        Every unacknowledged message of a worker that dies counts one more return, the innocent as
        well as the culprit (RabbitMQ documentation, "Poison Message Handling"). Set apart, only
        the culprit goes on counting.
        """
        log.warning("message.set_apart", returns=returns)
        own = names.own_headers_of(message.headers)
        self._publish(message, "", self._queues.suspects, own, message.settle)

    def _skip(
        self,
        message: Incoming,
        integration_id: str,
        outcome: Skipped,
        event_id: str,
        state: RetryState = FRESH,
    ) -> None:
        if state.is_repeat:
            self._observer.repeat_ended(integration_id, event_id, outcome.reason, 0.0)
        else:
            self._tell(integration_id, outcome, time.monotonic(), event_id)
        message.settle()

    def _tell_skipped(self, delivery: Delivery, reason: SkipReason) -> None:
        if delivery.state.is_repeat:
            self._end_repeat(delivery, reason)
        else:
            event_id = delivery.choice.event_id
            self._tell(delivery.integration.id, Skipped(reason), delivery.began, event_id)

    def _end_repeat(self, delivery: Delivery, end: RepeatEnd) -> None:
        seconds = time.monotonic() - delivery.began
        event_id = delivery.choice.event_id
        self._observer.repeat_ended(delivery.integration.id, event_id, end, seconds)

    def _tell(self, integration_id: str, outcome: Outcome, began: float, event_id: str) -> None:
        self._observer.outcome(integration_id, outcome, time.monotonic() - began, event_id)

    def _after_attempt(self, delivery: Delivery) -> RetryState:
        """The state with one more attempt made; after the first, waiting for one counts too."""
        state = delivery.state
        since = delivery.began if state.attempts_made else delivery.attempt_began
        took_ms = round((time.monotonic() - since) * 1000)
        return replace(
            state,
            attempts_made=state.attempts_made + 1,
            first_attempt_at_ms=state.first_attempt_at_ms or self._now_ms() - took_ms,
            elapsed_ms=state.elapsed_ms + took_ms,
            blocked_since_ms=None,
            is_handed_over=False,
            served=(),
        )

    def _new_lane(self, integration: Integration) -> Lane:
        timeout = self._policy.attempt_timeout_seconds
        return Lane(
            integration,
            rounds=self._courier,
            gate=self._gate,
            pace=self._pace,
            block=Block(self._limits.block_probe_seconds, timeout + 5),
            begun=self._begun,
            conclude=self._conclude,
            hand_over=self._hand_over,
            pauses=Pauses(timeout, self._policy.min_gap_seconds, self._policy.min_gap_seconds),
            max_events_in_flight=self._limits.events_in_flight,
        )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _after(state: RetryState, outcome: Outcome, integration_id: str | None) -> RetryState:
    """The state in which a delivery for `integration_id` comes back, if it does."""
    match outcome:
        case Parked(delay_seconds, reason):
            spares = state.attempts_made and reason in _SPARES_BUDGET
            spared = round(delay_seconds * 1000) if spares else 0
            blocked_since = state.blocked_since_ms if reason in _SPENDS_PATIENCE else None
            return state.parked(integration_id, spared, blocked_since)
        case Retried(delay_seconds, failure):
            return replace(
                state,
                integration_id=integration_id,
                elapsed_ms=state.elapsed_ms + round(delay_seconds * 1000),
                is_handed_over=failure is _NO_ANSWER_YET,
            )
        case _:
            return replace(state, integration_id=integration_id)


def _shows_a_right_setup(result: Result) -> bool:
    """Whether Adobe has accepted or judged the message itself, or knows of the person."""
    return isinstance(result, (Accepted, NoProfile)) or (
        isinstance(result, Permanent) and result.fault == "message"
    )


def _error_of(outcome: Parked) -> dict[str, Any]:
    """Of a bundled event the code alone, since many of one bundle would say the same."""
    return {names.ERROR: outcome.failure.error} if outcome.failure is not None else {}


def _returns_of(message: Incoming) -> int:
    count = message.headers.get(names.RETURNS, 0)
    return count if type(count) is int and count > 0 else 0


def _readable_state(message: Incoming) -> RetryState:
    """What can still be said of a message whose retry headers are not to be trusted."""
    return RetryState(
        integration_id=integration_id_in(message.headers), epoch=epoch_in(message.headers)
    )


def _about(failure: Failure) -> dict[str, Any]:
    detail = failure.detail.encode()[:_DETAIL_BYTES].decode(errors="ignore")
    about: dict[str, Any] = {names.ERROR: failure.error, names.ERROR_DETAIL: detail}
    if failure.http_status is not None:
        about[names.HTTP_STATUS] = failure.http_status
    return about
