"""From an outcome to its successor; its message is done when the broker has confirmed that.

A crash before the confirm repeats the work, and loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from worker.broker import headers as names
from worker.broker.delay import DelayKindTargets, due_at_ms
from worker.broker.headers import last_failure_in, moved_headers_of
from worker.broker.message import Incoming
from worker.broker.queue_names import Names
from worker.broker.republished import successor_of
from worker.broker.retry_state import RetryState, write_retry_state
from worker.delivery.bundles.gathering import BundleGathering
from worker.delivery.outcome import NO_ANSWER_YET, Dead, Failure, Outcome, Parked, Retried
from worker.delivery.rounds.epoch_watch import EpochWatch
from worker.reasons import DeadReason, ParkReason

_DETAIL_BYTES: Final = 1024
_SPENDS_PATIENCE: Final = frozenset({ParkReason.BLOCKED, ParkReason.IN_DOUBT})
"""What an event is parked for only so long; an operator's pause may last."""
_SPARES_BUDGET: Final = frozenset(
    {
        ParkReason.BLOCKED,
        ParkReason.CHANGED,
        ParkReason.IN_DOUBT,
        ParkReason.PAUSED,
        ParkReason.UNKNOWN_INLET,
    }
)
"""What stops the schedule of an event that was attempted. Nothing else does."""


class Successors:
    """Publishes the successors of a message by the session that it came by. `done` is called after
    the confirm.
    """

    def __init__(
        self,
        delay: DelayKindTargets,
        queues: Names,
        gathering: BundleGathering,
        epochs: EpochWatch,
        now_ms: Callable[[], int],
    ) -> None:
        self._delay = delay
        self._queues = queues
        self._gathering = gathering
        self._epochs = epochs
        self._now_ms = now_ms

    def follow(
        self,
        message: Incoming,
        state: RetryState,
        outcome: Retried | Parked | Dead,
        done: Callable[[], None],
        config: str = "",
    ) -> None:
        """Publish the successor that an outcome needs, with the `state` after it. `config` is the
        version of the integration's configuration, which a dead letter tells.
        """
        own = self._headers_of(state)
        match outcome:
            case Retried(delay_seconds, failure):
                self._delayed(message, own | _about(failure), delay_seconds, done)
            case Parked(delay_seconds, ParkReason.BUSY):
                # It comes back as a due retry does: the user is free in a moment.
                self._delayed(message, own | last_failure_in(message.headers), delay_seconds, done)
            # A suspect is parked at once: to wait for others that make a bundle with it would keep
            # the one place of all suspects.
            case Parked() if not state.attempts_made and message.queue != self._queues.suspects:
                self._gathering.park(message, state, own | _error_of(outcome), outcome, done)
            case Parked(delay_seconds, _, cause):
                about = _about(cause) if cause is not None else last_failure_in(message.headers)
                self._delayed(message, own | about, delay_seconds, done, parked=True)
            case Dead(reason, failure):
                own[names.DEAD_REASON] = reason
                own[names.DEAD_AT] = self._now_ms()
                if config:
                    own[names.CONFIG] = config
                came_late = failure.error is DeadReason.RETRIES_EXHAUSTED
                # Of what came back after its budget, the cause is that of its last attempt.
                about = last_failure_in(message.headers) if came_late else {}
                own |= about or _about(failure)
                self._publish(message, self._queues.dead_letters, "", own, done)

    def repeat(
        self, message: Incoming, state: RetryState, delay_seconds: float, done: Callable[[], None]
    ) -> None:
        """Publish a copy of what Adobe has accepted, which comes back when no older choice can be
        carried out any more.
        """
        self._delayed(message, self._headers_of(state), delay_seconds, done)

    def park_bundle(
        self,
        bundle: Incoming,
        state: RetryState,
        outcome: Parked,
        events: int,
        done: Callable[[], None],
        open_it: Callable[[], None],
    ) -> None:
        """Park a bundle whole, with the `state` after that; `open_it` is called instead of `done`
        if the broker takes no message as large as it.
        """
        own = write_retry_state(state) | _error_of(outcome) | {names.BUNDLE: events}
        too_large = self._opening_of(open_it)
        self._delayed(bundle, own, outcome.delay_seconds, done, parked=True, too_large=too_large)

    def _opening_of(self, open_it: Callable[[], None]) -> Callable[[int], None]:
        def too_large(most_bytes: int) -> None:
            self._gathering.bound_bytes = most_bytes
            open_it()

        return too_large

    def takes_bundle(self, bundle: Incoming) -> bool:
        """Whether the broker takes a bundle as large as this one again, as far as is known."""
        most = self._gathering.bound_bytes
        return most is None or len(bundle.body) <= most

    def _headers_of(self, state: RetryState) -> dict[str, Any]:
        """What says how far an event has come, and in which epoch of the store it was met first."""
        own = write_retry_state(state)
        return own if state.epoch is not None else own | write_retry_state(self._epochs.fresh)

    def takes_back_unread(self, bundle: Incoming) -> bool:
        """Whether a bundle may be parked again with all that it says: one of a producer has no say
        in what workers tell each other.
        """
        return bundle.queue not in self._queues.event_queues and self.takes_bundle(bundle)

    def set_aside(
        self, message: Incoming, outcome: Parked, open_it: Callable[[], None] | None = None
    ) -> None:
        """Park a message with all that it says, unread; `open_it` as for `park_bundle`."""
        own = moved_headers_of(message.headers)
        self._delayed(
            message,
            own,
            outcome.delay_seconds,
            message.done_on_record,
            parked=True,
            too_large=None if open_it is None else self._opening_of(open_it),
        )

    def move_to_suspects(self, message: Incoming) -> None:
        """Move a message, unread, to the queue whose messages are handled one at a time.

        Every unacknowledged message of a worker that dies counts one more return, the innocent as
        well as the culprit (RabbitMQ documentation, "Poison Message Handling"). Handled alone, only
        the culprit goes on counting.
        """
        own = moved_headers_of(message.headers)
        own.pop(names.CONTRACT, None)  # a producer's, or one that says what is said anew
        self._publish(message, "", self._queues.suspects, own, message.done_on_record)

    def _delayed(
        self,
        message: Incoming,
        own: dict[str, Any],
        delay_seconds: float,
        done: Callable[[], None],
        *,
        parked: bool = False,
        too_large: Callable[[int], None] | None = None,
    ) -> None:
        to = self._delay.target(delay_seconds, parked=parked)
        due = {names.DUE_AT: due_at_ms(delay_seconds, self._now_ms())}
        headers = own | due | to.headers
        self._publish(
            message,
            to.exchange,
            to.routing_key,
            headers,
            done,
            mandatory=to.mandatory,
            too_large=too_large,
        )

    @staticmethod
    def _publish(
        message: Incoming,
        exchange: str,
        routing_key: str,
        own: dict[str, Any],
        done: Callable[[], None],
        *,
        mandatory: bool = True,
        too_large: Callable[[int], None] | None = None,
    ) -> None:
        message.host.publish(
            exchange,
            routing_key,
            successor_of(message.properties, own),
            message.body,
            done,
            mandatory=mandatory,
            too_large=too_large or message.refuse,
        )


def state_after(state: RetryState, outcome: Outcome, integration_id: str | None) -> RetryState:
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
                is_handed_over=failure is NO_ANSWER_YET,
            )
        case _:
            return replace(state, integration_id=integration_id)


def _error_of(outcome: Parked) -> dict[str, Any]:
    """Of a bundled event the code alone, since many of one bundle would say the same."""
    return {names.ERROR: outcome.failure.error} if outcome.failure is not None else {}


def _about(failure: Failure) -> dict[str, Any]:
    detail = failure.detail.encode()[:_DETAIL_BYTES].decode(errors="ignore")
    about: dict[str, Any] = {names.ERROR: failure.error, names.ERROR_DETAIL: detail}
    if failure.http_status is not None:
        about[names.HTTP_STATUS] = failure.http_status
    return about
