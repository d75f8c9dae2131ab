"""What the parts of a lane share, and what all lanes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worker.delivery.delivery import Delivery
from worker.delivery.lanes.endpoint_health import EndpointHealth
from worker.delivery.lanes.events_in_hand import Begun, Confirming, UnderWay
from worker.delivery.lanes.request_limits import RequestWindow
from worker.delivery.lanes.request_pacing import RequestPacer
from worker.delivery.lanes.suspect_turns import SuspectTurns
from worker.delivery.lanes.waiting_events import Waiting
from worker.delivery.rounds.round_results import Result
from worker.delivery.rounds.round_runner import RoundRunner
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration

Results = list[tuple[Delivery, Result]]


def may_wait_on(before: Integration, now: Integration) -> bool:
    """Whether an event that was decided for integration `before` may wait for its turn while `now`
    is in force. Another form has something else to say, and so have other mappings, whose targets
    may lie inside the former ones; another state calls its user by another digest; and an operator
    who has paused the integration wants nothing sent.
    """
    if now.paused or before is now:
        return not now.paused
    return (before.payload_mode, before.state_id, before.decision_digest) == (
        now.payload_mode,
        now.state_id,
        now.decision_digest,
    )


@dataclass(frozen=True, slots=True)
class Pauses:
    """What bounds an attempt, how long a Retry-After may hold a lane (the delays of retries honour
    it further), and what lies between two probes of a failing endpoint at least.
    """

    attempt_seconds: float
    longest_rest_seconds: float
    probe_seconds: float


@dataclass(frozen=True, slots=True)
class SharedParts:
    """The parts that all lanes share. At most `max_events_in_flight` events of a lane are in
    requests and in hand at a time, since these can't be parked.
    """

    runner: RoundRunner
    gate: StoreGate
    pacer: RequestPacer
    begun: Begun
    suspects: SuspectTurns
    pauses: Pauses
    max_events_in_flight: int


@dataclass(slots=True)
class LaneState:
    """What one lane has, and how it does; `integration` is the configuration in force."""

    integration: Integration
    waiting: Waiting
    under_way: UnderWay
    confirming: Confirming
    health: EndpointHealth
    window: RequestWindow

    def drop_returned(self) -> None:
        """Let go of deliveries that the broker has again, and that are in no request."""
        self.confirming.drop_returned()
        self.waiting.drop_returned()


@dataclass(frozen=True, slots=True)
class LaneActs:
    """What is done with what a lane finds: `conclude` gets the results of each round, `hand_over`
    what has had no answer for long, and `give_back` what is in a round when the worker stops, of
    which each marks what is handed over; and `release` what was not sent and may not wait on.
    """

    conclude: Callable[[Results], None]
    hand_over: Callable[[list[Delivery]], None]
    give_back: Callable[[list[Delivery]], None]
    release: Callable[[Delivery], None]
