"""What became of one delivery, and how that is told to the broker.

What Adobe accepted is acknowledged, and counted as `delivered`, a round at a time. Else:

Outcome
 ├─ Skipped     nothing is to be done: acknowledged and counted by reason
 ├─ Retried     failed for now: published to a delay, confirmed, then acknowledged
 ├─ Parked      not tried: published to a delay without counting, confirmed, then acknowledged
 └─ Dead        given up or unusable: published to the dead letters, confirmed, acknowledged
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from worker.adobe.replies import ErrorCode
from worker.transform.decision import RejectReason, SkipReason

DeadReason = (
    RejectReason
    | Literal[
        "adobe-rejected",
        "integration-disabled",
        "invalid-headers",
        "no-integration",
        "poison",
        "retries-exhausted",
        "setup-failure",
        "too-large",
        "unexpected-error",
        "unknown-integration",
    ]
)


def codes_of(kind: Any) -> frozenset[str]:
    """The texts of a Literal, or of a union of them."""
    found: set[str] = set()
    for one in get_args(kind):
        found |= {one} if isinstance(one, str) else codes_of(one)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Failure:
    """The last thing that went wrong: a stable code and a redacted detail of at most 1 KiB."""

    error: ErrorCode | DeadReason
    detail: str
    http_status: int | None = None


NO_ANSWER_YET: Final = Failure("timeout", "no answer yet; the request goes on")
"""That of an event that is handed over."""


@dataclass(frozen=True, slots=True)
class Skipped:
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Retried:
    delay_seconds: float
    failure: Failure


ParkReason = Literal[
    "blocked", "busy", "in-doubt", "lane-full", "not-yet", "paused", "unknown-inlet"
]
"""`blocked`: the integration waits until somebody mends its credentials, rights or set-up. `busy`:
another worker is sending for this user. `in-doubt`: nobody can say now which integration the event
is for. `lane-full`: the integration holds all that it may. `not-yet`: the event is of the future.
`paused`: an operator has paused the integration. `unknown-inlet`: Adobe is being asked of which
kind the integration's inlet is."""


@dataclass(frozen=True, slots=True)
class Parked:
    """`failure` is why the integration is blocked, where that is the reason; `organization_id`
    whose events are in doubt.
    """

    delay_seconds: float
    reason: ParkReason
    failure: Failure | None = None
    organization_id: str = ""


@dataclass(frozen=True, slots=True)
class Dead:
    reason: DeadReason
    failure: Failure


Outcome = Skipped | Retried | Parked | Dead

RepeatEnd = SkipReason | Literal["repeated"]
"""How a repeat ended, which is no second outcome of its event: Adobe has accepted it once more, or
nothing was to be done. One that is given up is `Dead`."""

ReturnKind = Literal["retry", "parked"]
"""What came out of the delay, by the queue that it came to: `retry` is due for its next attempt (or
was parked as busy), `parked` was held back for any other reason."""
