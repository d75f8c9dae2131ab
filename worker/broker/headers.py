"""The headers of a message that is published again: what they are called, reading and writing.

Headers come from outside, so reading is strict: a tampered one makes `InvalidHeaders`, and its
message ends in the dead letters instead of being guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from worker.integrations.fields import ID_PATTERN

INTEGRATION: Final = "consent-integration"
ATTEMPTS: Final = "consent-attempts"
FIRST_ATTEMPT_AT: Final = "consent-first-attempt-at"
ELAPSED: Final = "consent-elapsed"
HANDED_OVER: Final = "consent-handed-over"
REPEAT: Final = "consent-repeat"
PARKS: Final = "consent-parks"
PARKED: Final = "consent-parked"
BLOCKED_SINCE: Final = "consent-blocked-since"
_OLD_BLOCKED_SINCE: Final = "consent-paused-since"
"""What a worker of the version before called it; its messages may still be under way."""
ERROR: Final = "consent-error"
ERROR_DETAIL: Final = "consent-error-detail"
HTTP_STATUS: Final = "consent-http-status"
DEAD_REASON: Final = "consent-dead-reason"
DEAD_AT: Final = "consent-dead-at"
REPLAYS: Final = "consent-replays"
PRODUCER_MESSAGE_ID: Final = "consent-producer-message-id"
BUNDLE: Final = "consent-bundle"
DUE_AT: Final = "consent-due-at"
SERVED: Final = "consent-served"
EPOCH: Final = "consent-epoch"
RETURNS: Final = "x-delivery-count"
"""The broker's own: how often it had a message back unsettled."""

OWN_HEADERS: Final = frozenset(
    {
        INTEGRATION,
        ATTEMPTS,
        FIRST_ATTEMPT_AT,
        ELAPSED,
        HANDED_OVER,
        REPEAT,
        PARKS,
        PARKED,
        BLOCKED_SINCE,
        _OLD_BLOCKED_SINCE,
        ERROR,
        ERROR_DETAIL,
        HTTP_STATUS,
        DEAD_REASON,
        DEAD_AT,
        REPLAYS,
        PRODUCER_MESSAGE_ID,
        BUNDLE,
        DUE_AT,
        SERVED,
        EPOCH,
    }
)

MAX_ATTEMPTS: Final = 10_000
MAX_PARKS: Final = 10_000_000
MAX_CLOCK_SKEW_MS: Final = 3_600_000
"""How far ahead of ours another worker's clock may be before its header counts as tampered with."""
_LONGEST_TEXT: Final = 1024
_EPOCH: Final = re.compile(r"[0-9a-f]{16}")
_INTEGRATION_ID: Final = re.compile(ID_PATTERN.removesuffix("$"))
_IDS: Final = re.compile(r"[A-Za-z0-9._-]{1,128}(,[A-Za-z0-9._-]{1,128})*")
MAX_ELAPSED_MS: Final = 10 * 365 * 86_400_000
MAX_LATENESS_MS: Final = 31 * 86_400_000
"""A fleet may be down for days; what says more was written by somebody else."""
LARGEST_BUNDLE_BYTES: Final = 1024 * 1024
"""No bundle that a worker packs is larger."""


def most_body_bytes(max_event_bytes: int) -> int:
    """Bytes of a body above which a message is rejected unread: neither an event nor a bundle."""
    return max(max_event_bytes, LARGEST_BUNDLE_BYTES)


class InvalidHeaders(ValueError):  # noqa: N818 - a statement about the message
    """A header of the retry contract is not as documented; the text names it, not its value."""


@dataclass(frozen=True, slots=True)
class RetryState:
    """How far a delivery has come. Times are milliseconds; a fresh one has made no attempts.

    `parked_ms` is how long it was parked since its first attempt, which its budget is spared;
    `blocked_since_ms`, when it first met a blocked integration, or a doubt about its integration;
    None while it meets neither. One that `is_handed_over` was published while the request of its
    last attempt had no answer yet. `served` are the integrations that need nothing of an event in
    doubt: each has had it, or has a copy of its own. `epoch` is that of the store of newest-wins
    when a worker met the event first. One that `is_repeat` was accepted before, while an older
    choice might still be carried out (see `ordering.unclear`).
    """

    integration_id: str | None = None
    attempts_made: int = 0
    first_attempt_at_ms: int | None = None
    elapsed_ms: int = 0
    replays: int = 0
    parks: int = 0
    parked_ms: int = 0
    blocked_since_ms: int | None = None
    is_handed_over: bool = False
    served: tuple[str, ...] = ()
    epoch: str | None = None
    is_repeat: bool = False

    def parked(
        self, integration_id: str | None, spared_ms: int, blocked_since_ms: int | None
    ) -> RetryState:
        """The state after one more parking for `integration_id`, of which the budget is spared
        `spared_ms`.
        """
        # Not by `replace`, which is slow, and parking is what a customer's outage costs the others.
        return RetryState(
            integration_id,
            self.attempts_made,
            self.first_attempt_at_ms,
            self.elapsed_ms,
            self.replays,
            self.parks + 1,
            self.parked_ms + spared_ms,
            blocked_since_ms,
            self.is_handed_over,
            self.served if blocked_since_ms is not None else (),
            self.epoch,
            self.is_repeat,
        )

    def elapsed_seconds(self, now_ms: int) -> float:
        """Seconds since the first attempt: the larger of the clock's and the workers' measure."""
        if self.first_attempt_at_ms is None:
            return 0.0
        by_clock = now_ms - self.first_attempt_at_ms - self.parked_ms
        return max(by_clock, self.elapsed_ms, 0) / 1000


FRESH: Final = RetryState()
"""The state of a message that nobody has handled yet."""


def read_retry_state(
    headers: Mapping[str, Any], now_ms: int, fresh: RetryState = FRESH
) -> RetryState:
    """The retry state a message carries; one without headers is in the state `fresh`, whose epoch
    is also that of a message that names none. Raises `InvalidHeaders` for anything not as
    documented.
    """
    if not headers:
        return fresh
    integration_id = integration_id_in(headers)
    if integration_id is None and headers.get(INTEGRATION) is not None:
        raise InvalidHeaders(f"{INTEGRATION} must be the id of an integration")
    attempts = _whole_number(headers, ATTEMPTS, MAX_ATTEMPTS)
    first = _whole_number(headers, FIRST_ATTEMPT_AT, now_ms + MAX_CLOCK_SKEW_MS)
    if attempts and not first:
        raise InvalidHeaders(f"{FIRST_ATTEMPT_AT} is required beside {ATTEMPTS}")
    if attempts and integration_id is None:
        raise InvalidHeaders(f"{INTEGRATION} is required beside {ATTEMPTS}")
    is_repeat = _whole_number(headers, REPEAT, 1) == 1
    if is_repeat and integration_id is None:
        raise InvalidHeaders(f"{INTEGRATION} is required beside {REPEAT}")
    blocked_since_ms = _blocked_since(headers, now_ms)
    return RetryState(
        integration_id=integration_id,
        attempts_made=attempts,
        first_attempt_at_ms=first or None,
        elapsed_ms=_whole_number(headers, ELAPSED, MAX_ELAPSED_MS),
        replays=_whole_number(headers, REPLAYS, MAX_ATTEMPTS),
        parks=_whole_number(headers, PARKS, MAX_PARKS),
        parked_ms=_whole_number(headers, PARKED, MAX_ELAPSED_MS),
        blocked_since_ms=blocked_since_ms,
        is_handed_over=_whole_number(headers, HANDED_OVER, 1) == 1,
        served=_served(headers, blocked_since_ms),
        epoch=epoch_in(headers) or fresh.epoch,
        is_repeat=is_repeat,
    )


def lateness_seconds(headers: Mapping[str, Any], now_ms: int) -> float | None:
    """How late what waited in the delay comes back, by this worker's clock; 0 for what is early,
    None where nobody can say. Only measured by, so a value that is none of ours does no harm.
    """
    due_at_ms = headers.get(DUE_AT)
    if type(due_at_ms) is not int:
        return None
    late_ms = now_ms - due_at_ms
    if not -MAX_CLOCK_SKEW_MS <= late_ms <= MAX_LATENESS_MS:
        return None
    return max(late_ms, 0) / 1000


def integration_id_in(headers: Mapping[str, Any]) -> str | None:
    """The id of an integration that a message names; None for what can't be one by its shape."""
    said = headers.get(INTEGRATION)
    is_id = isinstance(said, str) and _INTEGRATION_ID.fullmatch(said) is not None
    return said if is_id else None


def epoch_in(headers: Mapping[str, Any]) -> str | None:
    """The epoch that a message names; None for what can't be one by its shape, which does no harm:
    only a loss of the state is found by it.
    """
    said = headers.get(EPOCH)
    return said if isinstance(said, str) and _EPOCH.fullmatch(said) is not None else None


def is_repeat(headers: Mapping[str, Any]) -> bool:
    """Whether a message is a repeat, by a header of our own shape."""
    said = headers.get(REPEAT)
    return type(said) is int and said == 1


def own_headers_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Our own among the headers of a message that is moved unread.

    A value that is none of ours could be of any size and kind, so `True` stands for it, which is
    none of ours either.
    """
    return {
        name: value
        if type(value) is int or (isinstance(value, str) and len(value) <= _LONGEST_TEXT)
        else True
        for name, value in headers.items()
        if name in OWN_HEADERS and name != PRODUCER_MESSAGE_ID  # which `successor_of` keeps
    }


def write_retry_state(state: RetryState) -> dict[str, Any]:
    """The headers that carry `state`; a fresh state writes only what it has to say."""
    headers: dict[str, Any] = {}
    if state.integration_id is not None:
        headers[INTEGRATION] = state.integration_id
    if state.attempts_made:
        headers[ATTEMPTS] = state.attempts_made
        headers[FIRST_ATTEMPT_AT] = state.first_attempt_at_ms
        headers[ELAPSED] = state.elapsed_ms
    if state.replays:
        headers[REPLAYS] = state.replays
    if state.parks:
        headers[PARKS] = state.parks
        headers[PARKED] = state.parked_ms
    if state.blocked_since_ms is not None:
        headers[BLOCKED_SINCE] = state.blocked_since_ms
        if state.served:
            headers[SERVED] = _joined(state.served)
    if state.is_handed_over:
        headers[HANDED_OVER] = 1
    if state.epoch is not None:
        headers[EPOCH] = state.epoch
    if state.is_repeat:
        headers[REPEAT] = 1
    return headers


def _joined(ids: Iterable[str]) -> str:
    """As many of them as a text may have: one that is left out has the event again, which is a
    duplicate there.
    """
    text = ""
    for one in ids:
        longer = f"{text},{one}" if text else one
        if len(longer) <= _LONGEST_TEXT:
            text = longer
    return text


def _served(headers: Mapping[str, Any], blocked_since_ms: int | None) -> tuple[str, ...]:
    value = headers.get(SERVED)
    if value is None:
        return ()
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not _IDS.fullmatch(value):
        raise InvalidHeaders(f"{SERVED} must be ids of integrations, joined by commas")
    if blocked_since_ms is None:
        raise InvalidHeaders(f"{BLOCKED_SINCE} is required beside {SERVED}")
    return tuple(value.split(","))


def _blocked_since(headers: Mapping[str, Any], now_ms: int) -> int | None:
    name = BLOCKED_SINCE if BLOCKED_SINCE in headers else _OLD_BLOCKED_SINCE
    return _whole_number(headers, name, now_ms + MAX_CLOCK_SKEW_MS) or None


def _whole_number(headers: Mapping[str, Any], name: str, largest: int) -> int:
    value = headers.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise InvalidHeaders(f"{name} must be a whole number from 0, and not in the far future")
    return value
