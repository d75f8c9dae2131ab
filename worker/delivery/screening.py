"""What a message is, before anybody asks where it goes. Pure: it returns, the pipeline acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from worker.broker.headers import epoch_in, integration_id_in, returns_in
from worker.broker.message import Incoming
from worker.broker.queue_names import Names
from worker.broker.retry_state import FRESH, InvalidHeaders, RetryState, read_retry_state
from worker.delivery.pipeline_limits import PipelineLimits
from worker.events import Envelope, UndecodableEvent
from worker.fast_tuples import new_tuple
from worker.reasons import DeadReason, SkipReason
from worker.transform.decide import unowned_deletion

SUSPECT_AFTER: Final = 2
"""Returns after which a message may be what takes its workers down, and is handled alone."""
_UNREADABLE: Final = (
    "a header can't be read (nested too deep, text that is not UTF-8, a time out of range, or too "
    "many): it is lost, the body is not"
)


class Event(NamedTuple):
    """A screened message that is an event of an organization. `is_suspect`: it is handled alone,
    since its worker may have gone down because of it.
    """

    message: Incoming
    state: RetryState
    envelope: Envelope
    is_suspect: bool


class Suspect(NamedTuple):
    """A suspect: a message that was returned so often that it is to be handled alone."""

    returns: int


class Unusable(NamedTuple):
    """A screened message that can't be used, and becomes a dead letter."""

    state: RetryState
    reason: DeadReason
    detail: str


class Unowned(NamedTuple):
    """An event that names no organization, of which nothing is to be done."""

    reason: SkipReason
    event_id: str


Screened = Event | Suspect | Unusable | Unowned


class Screening:
    """Says what a message is that is no bundle. `read` reads an event, or raises
    `UndecodableEvent`; see `EventDecisions`.
    """

    def __init__(
        self, read: Callable[[bytes], Envelope], queues: Names, limits: PipelineLimits
    ) -> None:
        self._read = read
        self._suspects = queues.suspects
        self._limits = limits

    def screen(self, message: Incoming, now_ms: int, fresh: RetryState) -> Screened:
        """What a message is that is no bundle; `fresh` is the state of one met first."""
        headers = message.headers
        returns = returns_in(headers) if headers else 0
        is_suspect = message.source.queue == self._suspects
        if returns >= SUSPECT_AFTER and not is_suspect:
            return Suspect(returns)
        if not message.is_readable:
            return Unusable(FRESH, DeadReason.INVALID_HEADERS, _UNREADABLE)
        try:
            state = read_retry_state(headers, now_ms, fresh) if headers else fresh
        except InvalidHeaders as error:
            return Unusable(readable_state(message), DeadReason.INVALID_HEADERS, str(error))
        if returns:
            state = replace(state, was_returned=True)
        limits = self._limits
        if is_suspect and returns >= limits.poison_after:
            detail = f"its worker went down {returns} times while it was handled alone"
            return Unusable(state, DeadReason.POISON, detail)
        if len(message.body) > limits.max_event_bytes:
            detail = f"the body has more than {limits.max_event_bytes} bytes"
            return Unusable(state, DeadReason.TOO_LARGE, detail)
        try:
            envelope = self._read(message.body)
        except UndecodableEvent as error:
            return Unusable(state, error.reason, str(error))
        if not envelope.organization_id:
            return Unowned(unowned_deletion(envelope).reason, envelope.event_id)
        return new_tuple(Event, (message, state, envelope, is_suspect))


def readable_state(message: Incoming) -> RetryState:
    """What can still be said of a message whose retry headers are not to be trusted."""
    return RetryState(
        integration_id=integration_id_in(message.headers), epoch=epoch_in(message.headers)
    )
