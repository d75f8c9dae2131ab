"""The headers of a message that is published again: their names and bounds, and single ones read.

A value that is none of ours, by its type, size or shape, counts as not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from worker.integrations.text_fields import ID_PATTERN
from worker.reasons import ErrorCode

INTEGRATION: Final = "consent-integration"
ATTEMPTS: Final = "consent-attempts"
FIRST_ATTEMPT_AT: Final = "consent-first-attempt-at"
ELAPSED: Final = "consent-elapsed"
HANDED_OVER: Final = "consent-handed-over"
REPEAT: Final = "consent-repeat"
RETURNED: Final = "consent-returned"
PARKS: Final = "consent-parks"
PARKED: Final = "consent-parked"
BLOCKED_SINCE: Final = "consent-blocked-since"
OLD_BLOCKED_SINCE: Final = "consent-paused-since"
"""What a worker of the version before called it; its messages may still be under way."""
ERROR: Final = "consent-error"
ERROR_DETAIL: Final = "consent-error-detail"
HTTP_STATUS: Final = "consent-http-status"
DEAD_REASON: Final = "consent-dead-reason"
DEAD_AT: Final = "consent-dead-at"
CONFIG: Final = "consent-config"
REPLAYS: Final = "consent-replays"
PRODUCER_MESSAGE_ID: Final = "consent-producer-message-id"
BUNDLE: Final = "consent-bundle"
DUE_AT: Final = "consent-due-at"
SERVED: Final = "consent-served"
EPOCH: Final = "consent-epoch"
CONTRACT: Final = "consent-contract"
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
        RETURNED,
        PARKS,
        PARKED,
        BLOCKED_SINCE,
        OLD_BLOCKED_SINCE,
        ERROR,
        ERROR_DETAIL,
        HTTP_STATUS,
        DEAD_REASON,
        DEAD_AT,
        CONFIG,
        REPLAYS,
        PRODUCER_MESSAGE_ID,
        BUNDLE,
        DUE_AT,
        SERVED,
        EPOCH,
        CONTRACT,
    }
)

CONTRACT_VERSION: Final = 2
"""Of what this version writes, and the newest that it can read. It grows when a worker of the
version before could not handle what is written. 1 was that of 0.1.0; neither it nor 0.2.0, whose
contract is this one, names it."""

MAX_ATTEMPTS: Final = 10_000
MAX_PARKS: Final = 10_000_000
MAX_CLOCK_SKEW_MS: Final = 3_600_000
"""How far ahead of ours another worker's clock may be before its header counts as tampered with."""
LONGEST_TEXT_CHARACTERS: Final = 1024
_EPOCH: Final = re.compile(r"[0-9a-f]{16}")
_CONFIG: Final = re.compile(r"[0-9a-f]{12}")
_INTEGRATION_ID: Final = re.compile(ID_PATTERN.removesuffix("$"))
MAX_LATENESS_MS: Final = 31 * 86_400_000
"""A fleet may be down for days; what says more was written by somebody else."""
LARGEST_BUNDLE_BYTES: Final = 1024 * 1024
"""No bundle that a worker packs is larger."""


def most_body_bytes(max_event_bytes: int) -> int:
    """Bytes of a body above which a message is rejected unread: neither an event nor a bundle."""
    return max(max_event_bytes, LARGEST_BUNDLE_BYTES)


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


def config_in(headers: Mapping[str, Any]) -> str | None:
    """The version of a configuration that a dead letter names; None for what can't be one."""
    said = headers.get(CONFIG)
    return said if isinstance(said, str) and _CONFIG.fullmatch(said) is not None else None


def newer_contract_in(headers: Mapping[str, Any]) -> int | None:
    """The contract by which a message was written, where this version can't read it."""
    said = headers.get(CONTRACT)
    return said if type(said) is int and said > CONTRACT_VERSION else None


def events_of_bundle(headers: Mapping[str, Any]) -> int:
    """How many parked events a message says that it has; 0 where it is no number of ours."""
    said = headers.get(BUNDLE)
    return said if type(said) is int and 0 < said <= MAX_ATTEMPTS else 0


def is_repeat(headers: Mapping[str, Any]) -> bool:
    """Whether a message is a repeat, by a header of our own shape."""
    said = headers.get(REPEAT)
    return type(said) is int and said == 1


def last_failure_in(headers: Mapping[str, Any]) -> dict[str, Any]:
    """What a retry carries of the attempt before it, as headers; nothing where that is no code of
    ours.
    """
    if headers.get(ERROR) not in list(ErrorCode):
        return {}
    return {
        name: value
        for name, value in own_headers_of(headers).items()
        if name in (ERROR, ERROR_DETAIL, HTTP_STATUS) and value is not True
    }


def own_headers_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Our own among the headers of a message that is moved unread.

    A value that is none of ours could be of any size and kind, so `True` stands for it, which is
    none of ours either.
    """
    return {
        name: value
        if type(value) is int or (isinstance(value, str) and len(value) <= LONGEST_TEXT_CHARACTERS)
        else True
        for name, value in headers.items()
        if name in OWN_HEADERS and name != PRODUCER_MESSAGE_ID  # which `successor_of` keeps
    }


def returns_in(headers: Mapping[str, Any]) -> int:
    """How often the broker has handed a message out in vain, by its present queue."""
    count = headers.get(RETURNS, 0)
    return count if type(count) is int and count > 0 else 0


def moved_headers_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """As `own_headers_of`, for another queue: the broker counts returns anew there, so that the
    message itself says that it was returned.
    """
    own = own_headers_of(headers)
    if returns_in(headers) and not own.get(RETURNED):
        own[RETURNED] = 1
    return own
