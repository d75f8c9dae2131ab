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
from worker.broker.delay import DelayKindTargets, by_few_levels
from worker.broker.headers import (
    FRESH,
    InvalidHeaders,
    RetryState,
    read_retry_state,
    write_retry_state,
)
from worker.broker.republish import successor_of
from worker.broker.session import Session
from worker.broker.topology import Names
from worker.delivery.bundle import NotABundle
from worker.delivery.courier import (
    Busy,
    Courier,
    Crashed,
    Duplicate,
    Result,
    Sender,
    Superseded,
)
from worker.delivery.delivery import Delivery
from worker.delivery.gate import StoreGate
from worker.delivery.lane import Lane
from worker.delivery.lanes import Lanes
from worker.delivery.outcome import Dead, Failure, Outcome, Parked, Retried, Skipped
from worker.delivery.pace import RequestPace
from worker.delivery.parking import MOST_EVENTS, Opening, Parking, events_of
from worker.delivery.pause import SETUP_ERRORS, SetupPause
from worker.delivery.retry_policy import RetryPolicy
from worker.events import Envelope, UndecodableEvent, open_envelope
from worker.integrations.model import Integration
from worker.ordering.users import UserKeys
from worker.transform.decide import decide
from worker.transform.decision import Reject, Skip

log = structlog.get_logger(__name__)

SUSPECT_AFTER: Final = 2
"""Returns after which a message may be what takes its workers down, and is handled alone."""
_DETAIL_BYTES: Final = 1024
_UNREADABLE: Final = (
    "a header can't be read (nested too deep, text that is not UTF-8, a time out of range, or too "
    "many): it is lost, the body is not"
)
_BUSY_SECONDS: Final = 0.25


class Routes(Protocol):
    """Knows the integrations."""

    def for_organization(self, organization_id: str) -> list[Integration]: ...
    def get(self, integration_id: str) -> Integration | None: ...
    def is_broken_for(self, organization_id: str) -> list[str]: ...


class Observer(Protocol):
    """Is told of every outcome: metrics and the log listen here."""

    def outcome(
        self, integration_id: str, outcome: Outcome, seconds: float, event_id: str
    ) -> None: ...
    def delivered(self, integration_id: str, accepted: list[tuple[Delivery, Accepted]]) -> None: ...
    def parked_again(self, integration_id: str, events: int) -> None: ...
    def paused(self, integration_id: str, failure: Failure) -> None: ...
    def resumed(self, integration_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_event_bytes` of a body; `poison_after` returns of a message that was handled alone;
    seconds between two probes of a paused integration, and until its events are given up; events
    that one integration may have in requests at a time.
    """

    max_event_bytes: int
    poison_after: int
    setup_probe_seconds: float = 15.0
    setup_patience_seconds: float = 86_400.0
    events_in_flight: int = 500


class Pipeline:
    """Handles messages: the `Handler` of a broker's sessions."""

    def __init__(
        self,
        *,
        routes: Routes,
        sender: Sender,
        gate: StoreGate,
        users: UserKeys,
        policy: RetryPolicy,
        delay: DelayKindTargets,
        queues: Names,
        limits: Limits,
        observer: Observer,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311
    ) -> None:
        self._routes = routes
        self._users = users
        self._policy = policy
        self._delay = delay
        self._queues = queues
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._jitter = jitter
        self._gate = gate
        self._courier = Courier(sender, gate, policy.attempt_timeout_seconds)
        self._pace = RequestPace()
        self._parking = Parking(delay)
        self._opening = Opening(lambda bundle: self._guard(self._open_or_park_again, bundle))
        self.lanes = Lanes(self._new_lane, self._give_up, gate)

    def take(self, message: Incoming) -> None:
        """See `Handler`."""
        self._guard(self._take, message)

    def _guard(self, handle: Callable[[Incoming], None], message: Incoming) -> None:
        try:
            handle(message)
        except Exception as error:  # a bug must neither lose the message nor loop with it
            log.exception("message.unexpected_error", error=type(error).__name__)
            # One dead letter for all of its deliveries, whatever some of them do meanwhile.
            whole = message.take_over()
            self._bury(whole, _readable_state(whole), "unexpected-error", type(error).__name__)

    def forget(self, session: Session) -> None:
        """See `Handler`."""
        self.lanes.drop_lost()

    # From a message to deliveries

    def _take(self, message: Incoming) -> None:
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
            state = read_retry_state(message.headers, self._now_ms())
        except InvalidHeaders as error:
            self._bury(message, _readable_state(message), "invalid-headers", str(error))
            return
        if is_alone and returns >= self._limits.poison_after:
            detail = f"its worker went down {returns} times while it was handled alone"
            self._bury(message, state, "poison", detail)
            return
        if len(message.body) > self._limits.max_event_bytes:
            detail = f"the body has more than {self._limits.max_event_bytes} bytes"
            self._bury(message, state, "too-large", detail)
            return
        try:
            envelope = open_envelope(message.body)
        except UndecodableEvent as error:
            self._bury(message, state, error.reason, str(error))
            return
        if state.integration_id is not None:
            self._route_named(message, state, state.integration_id, envelope, is_alone)
        else:
            self._route(message, state, envelope, is_alone)

    def _open_or_park_again(self, bundle: Incoming) -> None:
        """The turn of a bundle of parked events has come."""
        returns = _returns_of(bundle)
        if not returns and self._park_again(bundle):
            return
        try:
            events = events_of(bundle, returns)
        except NotABundle as error:
            self._bury(bundle, _readable_state(bundle), "invalid-headers", str(error))
            return
        for event in events:
            self.take(event)

    def _park_again(self, bundle: Incoming) -> bool:
        """Park a bundle whole, if the first of its events would find no room."""
        integration_id, events = bundle.headers.get(names.INTEGRATION), bundle.headers[names.BUNDLE]
        integration = self._routes.get(integration_id) if isinstance(integration_id, str) else None
        if integration is None or not integration.enabled or not isinstance(events, int):
            return False
        if not 0 < events <= MOST_EVENTS:
            return False  # no number of ours: what is in it tells
        lane = self.lanes.of(integration)
        if (
            lane.integration is not integration
            or lane.pause.is_on
            or self.lanes.has_room_for_one_of(bundle.intake, lane)
        ):
            return False
        delay = by_few_levels(lane.parking_delay(events))
        own = {names.INTEGRATION: integration.id, names.BUNDLE: events}
        self._observer.parked_again(integration.id, events)
        self._publish_delayed(bundle, own, delay)
        return True

    def _route(
        self, message: Incoming, state: RetryState, envelope: Envelope, is_alone: bool
    ) -> None:
        """Each integration of the event's organization gets a delivery with a life of its own."""
        integrations = self._routes.for_organization(envelope.organization_id)
        broken = self._routes.is_broken_for(envelope.organization_id)
        if not integrations and not broken:
            self._skip(message, "", Skipped("no-integration"), envelope.event_id)
            return
        message.open_deliveries = len(integrations) + len(broken)
        for integration_id in broken:
            detail = f"the configuration of {integration_id} is not valid; see the worker's log"
            named = replace(state, integration_id=integration_id)
            self._bury(message, named, "invalid-integration", detail, envelope.event_id)
        for integration in integrations:
            self._decide(message, state, integration, envelope, is_alone)

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
        elapsed = state.elapsed_seconds(self._now_ms())
        if integration is None and integration_id in self._routes.is_broken_for(
            envelope.organization_id
        ):
            verdict = ("invalid-integration", "its configuration is not valid")
        elif integration is None:
            verdict = ("unknown-integration", "no integration has this id")
        elif integration.organization_id != envelope.organization_id:
            verdict = ("unknown-integration", "the integration belongs to another organization")
        elif not integration.enabled:
            verdict = ("integration-disabled", "enable it, then replay")
        elif not self._policy.may_attempt(state.attempts_made, elapsed):
            verdict = ("retries-exhausted", "it came back after its retry budget")
        else:
            self._decide(message, state, integration, envelope, is_alone)
            return
        self._bury(message, state, *verdict, envelope.event_id)

    def _decide(
        self,
        message: Incoming,
        state: RetryState,
        integration: Integration,
        envelope: Envelope,
        is_alone: bool,
    ) -> None:
        lane = self.lanes.of(integration)
        if lane.integration is not integration and lane.adopt(integration):
            self._observer.resumed(integration.id)
        goes_on = is_alone or lane.pause.is_on
        if not goes_on and not self.lanes.has_room_for_one_of(message.intake, lane):
            # Undecided, since that would have to be done again: what is parked for a lane that
            # hangs is to cost others as little as can be.
            self._park_for_room(lane, message, state, time.monotonic(), envelope.event_id)
            return
        decision = decide(integration, envelope, self._now_ms())
        if isinstance(decision, Skip):
            self._skip(message, integration.id, Skipped(decision.reason), envelope.event_id)
            return
        if isinstance(decision, Reject):
            named = replace(state, integration_id=integration.id)
            self._bury(message, named, decision.reason, decision.detail, envelope.event_id)
            return
        identity = decision.identity
        place = identity.namespace if identity.in_identity_map else identity.path
        user = self._users.user_key(integration.id, place or "", identity.value)
        delivery = Delivery(message, state, integration, decision, user, is_alone)
        if lane.pause.is_on and not lane.pause.take_probe(time.monotonic()):
            self._park_for_setup(delivery, lane.pause)
        else:
            lane.offer(delivery)

    # From results to outcomes

    def _conclude(self, lane: Lane, results: list[tuple[Delivery, Result]]) -> None:
        """The results of one round."""
        accepted: list[tuple[Delivery, Accepted]] = []
        for delivery, result in results:
            if isinstance(result, Accepted):
                accepted.append((delivery, result))
                delivery.message.settle()
            else:
                self._conclude_one(lane, delivery, result)
        if accepted:
            self._observer.delivered(lane.integration.id, accepted)
        if not lane.pause.is_on:
            return
        if accepted or any(isinstance(result, (NoProfile, Permanent)) for _, result in results):
            lane.pause.end()
            self._observer.resumed(lane.integration.id)
        else:
            if all(isinstance(result, (Superseded, Duplicate, Busy)) for _, result in results):
                lane.pause.told_nothing(time.monotonic())
            for delivery in lane.clear():
                self._park_for_setup(delivery, lane.pause)

    def _conclude_one(self, lane: Lane, delivery: Delivery, result: Result) -> None:
        match result:
            case Superseded():
                self._skip_delivery(delivery, Skipped("superseded"))
            case Duplicate():
                self._skip_delivery(delivery, Skipped("duplicate"))
            case NoProfile():
                self._skip_delivery(delivery, Skipped("no-profile"))
            case Busy():
                self._hand_on(delivery, Parked(self._busy_delay(delivery, result), "busy"))
            case Permanent(error, detail, http_status):
                failure = Failure(error, detail, http_status)
                self._hand_on(delivery, Dead("adobe-rejected", failure), attempted=True)
            case Retryable(error, detail, http_status) if error in SETUP_ERRORS:
                failure = Failure(error, detail, http_status)
                if lane.pause.failed(failure, time.monotonic()):
                    self._observer.paused(lane.integration.id, failure)
                self._park_for_setup(delivery, lane.pause)
            case Retryable():
                self._retry_or_give_up(delivery, result)
            case Crashed(name):
                failure = Failure("unexpected-error", name)
                self._hand_on(delivery, Dead("unexpected-error", failure), attempted=True)

    def _retry_or_give_up(self, delivery: Delivery, reply: Retryable) -> None:
        failure = Failure(reply.error, reply.detail, reply.http_status)
        made = self._after_attempt(delivery)
        delay = self._policy.next_delay(
            made.attempts_made,
            made.elapsed_seconds(self._now_ms()),
            jitter=self._jitter(),
            retry_after_seconds=reply.retry_after_seconds,
        )
        if delay is None:
            self._hand_on(delivery, Dead("retries-exhausted", failure), attempted=True)
        else:
            self._hand_on(delivery, Retried(delay, failure), attempted=True)

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

    def _park_for_setup(self, delivery: Delivery, pause: SetupPause) -> None:
        failure = pause.failure or Failure("adobe-refused", "")
        since = delivery.state.paused_since_ms or self._now_ms()
        if self._now_ms() - since > self._limits.setup_patience_seconds * 1000:
            self._hand_on(delivery, Dead("setup-failure", failure))
            return
        parks = delivery.state.parks
        delay = pause.parking_delay(parks, time.monotonic(), self._jitter())
        delivery.state = replace(delivery.state, paused_since_ms=since)
        self._hand_on(delivery, Parked(delay, "setup-failure", failure))

    # From outcomes to the broker

    def _hand_on(self, delivery: Delivery, outcome: Outcome, *, attempted: bool = False) -> None:
        """Publish the successor of a delivery; `attempted` counts one more attempt."""
        state = self._after_attempt(delivery) if attempted else delivery.state
        self._follow(
            delivery.message,
            delivery.integration.id,
            state,
            outcome,
            delivery.began,
            delivery.choice.event_id,
        )

    def _follow(
        self,
        message: Incoming,
        integration_id: str | None,
        state: RetryState,
        outcome: Outcome,
        began: float,
        event_id: str,
    ) -> None:
        """Tell of an outcome, and publish the successor that it needs; `state` is that before."""
        self._tell(integration_id or "", outcome, began, event_id)
        self._make_durable(message, _after(state, outcome, integration_id), outcome)

    def _bury(
        self, message: Incoming, state: RetryState, reason: Any, detail: str, event_id: str = ""
    ) -> None:
        """A message that can't be used becomes a dead letter."""
        outcome = Dead(reason, Failure(reason, detail))
        self._follow(message, state.integration_id, state, outcome, time.monotonic(), event_id)

    def _make_durable(self, message: Incoming, state: RetryState, outcome: Outcome) -> None:
        """Publish the successor that an outcome needs, and settle when it is confirmed."""
        own = write_retry_state(state)
        match outcome:
            case Retried(delay_seconds, failure):
                self._publish_delayed(message, own | _about(failure), delay_seconds)
            case Parked(delay_seconds, "lane-full", _) if not state.attempts_made:
                self._parking.park(message, state.integration_id or "", own, delay_seconds)
            case Parked(delay_seconds, _, cause):
                about = _about(cause) if cause is not None else {}
                self._publish_delayed(message, own | about, delay_seconds)
            case Dead(reason, failure):
                own[names.DEAD_REASON] = reason
                own[names.DEAD_AT] = self._now_ms()
                self._publish(message, self._queues.dead_letters, "", own | _about(failure))

    def _publish_delayed(
        self, message: Incoming, own: dict[str, Any], delay_seconds: float
    ) -> None:
        to = self._delay.target(delay_seconds)
        self._publish(
            message, to.exchange, to.routing_key, own | to.headers, mandatory=to.mandatory
        )

    def _publish(
        self,
        message: Incoming,
        exchange: str,
        routing_key: str,
        own: dict[str, Any],
        *,
        mandatory: bool = True,
    ) -> None:
        message.session.publish(
            exchange,
            routing_key,
            successor_of(message.properties, own),
            message.body,
            message.settle,
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
        self._publish(message, "", self._queues.suspects, own)

    def _skip(
        self, message: Incoming, integration_id: str, outcome: Skipped, event_id: str
    ) -> None:
        self._tell(integration_id, outcome, time.monotonic(), event_id)
        message.settle()

    def _skip_delivery(self, delivery: Delivery, outcome: Skipped) -> None:
        event_id = delivery.choice.event_id
        self._tell(delivery.integration.id, outcome, delivery.began, event_id)
        delivery.message.settle()

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
            paused_since_ms=None,
        )

    def _new_lane(self, integration: Integration) -> Lane:
        timeout = self._policy.attempt_timeout_seconds
        return Lane(
            integration,
            rounds=self._courier,
            gate=self._gate,
            pace=self._pace,
            pause=SetupPause(self._limits.setup_probe_seconds, timeout + 5),
            conclude=self._conclude,
            max_rest_seconds=self._policy.min_gap_seconds,
            max_events_in_flight=self._limits.events_in_flight,
        )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _after(state: RetryState, outcome: Outcome, integration_id: str | None) -> RetryState:
    """The state in which a delivery for `integration_id` comes back, if it does."""
    match outcome:
        case Parked(delay_seconds, reason, _):
            spared = round(delay_seconds * 1000) if state.attempts_made else 0
            paused_since = state.paused_since_ms if reason == "setup-failure" else None
            return state.parked(integration_id, spared, paused_since)
        case Retried(delay_seconds, _):
            elapsed = state.elapsed_ms + round(delay_seconds * 1000)
            return replace(state, integration_id=integration_id, elapsed_ms=elapsed)
        case _:
            return replace(state, integration_id=integration_id)


def _returns_of(message: Incoming) -> int:
    count = message.headers.get(names.RETURNS, 0)
    return count if type(count) is int and count > 0 else 0


def _readable_state(message: Incoming) -> RetryState:
    """What can still be said of a message whose retry headers are not to be trusted."""
    integration_id = message.headers.get(names.INTEGRATION)
    known = isinstance(integration_id, str) and 0 < len(integration_id) <= 256
    return RetryState(integration_id=integration_id if known else None)


def _about(failure: Failure) -> dict[str, Any]:
    detail = failure.detail.encode()[:_DETAIL_BYTES].decode(errors="ignore")
    about: dict[str, Any] = {names.ERROR: failure.error, names.ERROR_DETAIL: detail}
    if failure.http_status is not None:
        about[names.HTTP_STATUS] = failure.http_status
    return about
