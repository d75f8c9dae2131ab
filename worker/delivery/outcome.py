"""What became of one delivery, and how that is told to the broker.

What Adobe accepted is acknowledged, and counted as `delivered`, a round at a time. Else:

| Outcome   | means                            | and is told to the broker by                  |
|-----------|----------------------------------|-----------------------------------------------|
| `Skipped` | nothing is to be done            | an acknowledgement, counted by reason         |
| `Retried` | failed for now                   | a message to a delay, then an acknowledgement |
| `Parked`  | not tried, and no attempt counts | a message to a delay, then an acknowledgement |
| `Dead`    | given up, or unusable            | a dead letter, then an acknowledgement        |

What is published is confirmed before the acknowledgement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from worker.adobe.replies import Accepted
from worker.delivery.delivery import Delivery
from worker.reasons import DeadReason, ErrorCode, ParkReason, SkipReason


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong last with a delivery: a stable code, a redacted detail of at most 1 KiB."""

    error: ErrorCode | DeadReason
    detail: str
    http_status: int | None = None


NO_ANSWER_YET: Final = Failure(ErrorCode.TIMEOUT, "no answer yet; the request goes on")
"""That of an event that is handed over."""


@dataclass(frozen=True, slots=True)
class Skipped:
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Retried:
    delay_seconds: float
    failure: Failure


@dataclass(frozen=True, slots=True)
class Parked:
    """The event goes into the delay without an attempt. `failure` is why the integration is
    blocked, where that is the reason; `organization_id` whose events are in doubt.
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
