"""How far a delivery has come, as the headers of a message carry it.

Headers come from outside, so reading is strict: a tampered one makes `InvalidHeaders`, and its
message ends in the dead letters instead of being guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from worker.broker.headers import (
    ATTEMPTS,
    BLOCKED_SINCE,
    ELAPSED,
    EPOCH,
    FIRST_ATTEMPT_AT,
    HANDED_OVER,
    INTEGRATION,
    LONGEST_TEXT_CHARACTERS,
    MAX_ATTEMPTS,
    MAX_CLOCK_SKEW_MS,
    MAX_PARKS,
    OLD_BLOCKED_SINCE,
    PARKED,
    PARKS,
    REPEAT,
    REPLAYS,
    RETURNED,
    SERVED,
    epoch_in,
    integration_id_in,
)

MAX_ELAPSED_MS: Final = 10 * 365 * 86_400_000
_IDS: Final = re.compile(r"[A-Za-z0-9._-]{1,128}(,[A-Za-z0-9._-]{1,128})*")


class InvalidHeaders(ValueError):
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
    choice might still be carried out (see `ordering.unclear`). One that `was_returned` was with a
    worker that the broker has lost, and which may have sent it.
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
    was_returned: bool = False

    @property
    def may_be_at_adobe(self) -> bool:
        """Whether an earlier request may have told Adobe of the event, whatever became of it."""
        was_tried = self.attempts_made > 0 or self.replays > 0
        return was_tried or self.was_returned or self.is_repeat

    def parked(
        self, integration_id: str | None, spared_ms: int, blocked_since_ms: int | None
    ) -> RetryState:
        """The retry state after one more parking for `integration_id`, of which the budget is
        spared `spared_ms`.
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
            self.was_returned,
        )

    def elapsed_seconds(self, now_ms: int) -> float:
        """Seconds since a delivery's first attempt, by the clock or the workers: the larger."""
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
        was_returned=_whole_number(headers, RETURNED, 1) == 1,
    )


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
    if state.epoch is not None:
        headers[EPOCH] = state.epoch
    marks = {
        HANDED_OVER: state.is_handed_over,
        REPEAT: state.is_repeat,
        RETURNED: state.was_returned,
    }
    return headers | {name: 1 for name, is_set in marks.items() if is_set}


def _joined(ids: Iterable[str]) -> str:
    """As many of them as a text may have: one that is left out has the event again, which is a
    duplicate there.
    """
    text = ""
    for one in ids:
        longer = f"{text},{one}" if text else one
        if len(longer) <= LONGEST_TEXT_CHARACTERS:
            text = longer
    return text


def _served(headers: Mapping[str, Any], blocked_since_ms: int | None) -> tuple[str, ...]:
    value = headers.get(SERVED)
    if value is None:
        return ()
    if (
        not isinstance(value, str)
        or len(value) > LONGEST_TEXT_CHARACTERS
        or not _IDS.fullmatch(value)
    ):
        raise InvalidHeaders(f"{SERVED} must be ids of integrations, joined by commas")
    if blocked_since_ms is None:
        raise InvalidHeaders(f"{BLOCKED_SINCE} is required beside {SERVED}")
    return tuple(value.split(","))


def _blocked_since(headers: Mapping[str, Any], now_ms: int) -> int | None:
    name = BLOCKED_SINCE if BLOCKED_SINCE in headers else OLD_BLOCKED_SINCE
    return _whole_number(headers, name, now_ms + MAX_CLOCK_SKEW_MS) or None


def _whole_number(headers: Mapping[str, Any], name: str, largest: int) -> int:
    value = headers.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise InvalidHeaders(f"{name} must be a whole number from 0, and not in the far future")
    return value
