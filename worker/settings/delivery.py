"""How long a delivery is tried, waited for and kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from worker.settings.value_bounds import LONGEST_SECONDS


class DeliverySettings(BaseModel):
    """How long a delivery is tried, waited for and kept."""

    retry_budget_seconds: Annotated[
        float,
        Field(
            ge=3,
            le=480,
            description="Seconds from the first attempt within which a delivery is retried; "
            "a shorter budget scales the schedule.",
        ),
    ] = 300.0
    attempt_timeout_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=120,
            description="Seconds one attempt may take in all (token, look-up, delivery); "
            "never more than a tenth of the retry budget, but at least one second.",
        ),
    ] = 30.0
    unclear_seconds: Annotated[
        float,
        Field(
            ge=1,
            le=480,
            description="Seconds for which Adobe may still carry out a request that got no valid "
            "answer; what is accepted meanwhile is sent again after them.",
        ),
    ] = 120.0
    block_probe_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=LONGEST_SECONDS,
            description="Seconds between two probes of an integration that is blocked for a fault "
            "of its set-up, at first; up to eight times as much later.",
        ),
    ] = 15.0
    block_patience_seconds: Annotated[
        float,
        Field(
            ge=1,
            le=LONGEST_SECONDS,
            description="Seconds for which events of a blocked integration are kept before they "
            "are dead-lettered as `setup-failure`.",
        ),
    ] = 86_400.0
    poison_after: Annotated[
        int,
        Field(
            ge=1,
            description="Times a suspect may take its worker down while handled alone "
            "before it is dead-lettered as `poison`.",
        ),
    ] = 5
    max_event_bytes: Annotated[
        int, Field(ge=1024, description="Bytes of a message body above which it is dead-lettered.")
    ] = 1_048_576

    @property
    def longest_attempt_seconds(self) -> float:
        """Seconds one attempt may take, so that five retries fit even if each of them hangs."""
        return max(1.0, min(self.attempt_timeout_seconds, self.retry_budget_seconds / 10))
