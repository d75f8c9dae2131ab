"""The bounds of a pipeline, and what follows from them for one message. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from worker.broker.retry_state import RetryState


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """The bounds of a pipeline: `max_event_bytes` of a body; `poison_after` returns of a message
    that was handled alone; seconds between two probes of a blocked integration, and until its
    events are given up; events that one integration may have in requests at a time; due retries in
    hand; seconds for which a request without a valid answer may still be carried out.
    """

    max_event_bytes: int
    poison_after: int
    block_probe_seconds: float = 15.0
    block_patience_seconds: float = 86_400.0
    events_in_flight: int = 500
    retries_in_hand: int = 2_000
    unclear_seconds: float = 120.0

    def is_out_of_patience(self, state: RetryState, now_ms: int) -> bool:
        """Whether an event has waited for a person's doing for as long as it may."""
        since = state.blocked_since_ms
        return since is not None and now_ms - since > self.block_patience_seconds * 1000
