"""What `dead-letters replay` and `discard` are asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from worker.broker.letter_filter import Filter

CANARY_WAIT: Final = "330s"
"""Five retries take up to 300 s, so what fails for good is back by then."""
LONGEST_WAIT_SECONDS: Final = 1_200
"""The broker takes back what is held for 30 minutes (RabbitMQ documentation, "Consumers: Delivery
Acknowledgement Timeout"), and the pass before the wait needs some of these."""

Verb = Literal["replayed", "discarded"]


@dataclass(frozen=True, slots=True)
class Handling:
    """What is to be done with those `chosen`. `canaries` go first, and their fate is waited for
    `wait_seconds`; `rate` is letters per second, None for as many as can be.
    """

    verb: Verb
    chosen: Filter
    dry_run: bool = False
    after_state_loss: bool = True
    canaries: int = 0
    wait_seconds: int = 0
    rate: float | None = None
