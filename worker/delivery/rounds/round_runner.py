"""Runs the rounds of all integrations, each within the time of one attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from worker.adobe.attempt_deadline import Deadline, awake_or_not, until
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.completion_lookup import Completion
from worker.delivery.rounds.request_round import Round
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Result
from worker.delivery.rounds.sender_protocol import Sender
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.ordering.sealed_values import Seals


class RoundRunner(Protocol):
    """What a lane has its rounds run by; see `AdobeRounds`."""

    async def deliver(
        self, integration: Integration, groups: list[list[Delivery]], slots: RequestSlots
    ) -> list[tuple[Delivery, Result]]: ...


class AdobeRounds:
    """`attempt_seconds` bounds one round, so that a lease outlives it. A request without a valid
    answer may be carried out for `unclear_seconds` more. What is kept beside stamps has `seals`.
    `clock` goes on while the machine sleeps, in seconds.
    """

    def __init__(
        self,
        sender: Sender,
        gate: StoreGate,
        attempt_seconds: float,
        unclear_seconds: float,
        seals: Seals | None = None,
        clock: Callable[[], float] = awake_or_not,
    ) -> None:
        self.sender = sender
        self.gate = gate
        self.completion = Completion(sender, gate)
        self.attempt_seconds = attempt_seconds
        self.unclear_ms = round(unclear_seconds * 1000)
        self.seals = seals or Seals()
        self.clock = clock

    async def deliver(
        self, integration: Integration, groups: Sequence[list[Delivery]], slots: RequestSlots
    ) -> list[tuple[Delivery, Result]]:
        """A round's result for each delivery; each group has those of one user. Each request has
        one of the `slots`.

        Raises `StoreUnavailable`, and then nothing was sent.
        """
        with until(Deadline(self.clock() + self.attempt_seconds, self.clock)):
            return await Round(self, integration, slots).deliver(groups)
