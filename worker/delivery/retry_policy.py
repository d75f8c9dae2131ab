"""When a failed delivery is tried again, and when it is given up. Pure arithmetic.

The promise: at least five retries within the budget (300 s by default) of the first attempt; given
up only when five retries were made *and* the next would fall outside the budget. Times are seconds.

Workers don't share a clock. So a delivery carries two measures of how long it has been under way:
the wall-clock time of its first attempt, and a sum of what the workers themselves measured (time
in hand, delays asked for). The larger one counts. A clock that is behind then can't stretch the
schedule past the budget, and one that is ahead can only shorten the pauses, never the five retries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REQUIRED_RETRIES: Final = 5
# The last offset leaves room inside the budget for its jitter and for the broker's own latency.
_OFFSETS: Final = tuple(seconds / 300 for seconds in (5, 20, 50, 110, 200, 290))
_JITTER: Final = 0.1
_LAST: Final = 295 / 300


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The schedule of a delivery's retries: `budget_seconds` count from its first attempt, and
    `attempt_timeout_seconds` bounds one attempt.
    """

    budget_seconds: float
    attempt_timeout_seconds: float

    @property
    def min_gap_seconds(self) -> float:
        """The least pause between two attempts of a delivery."""
        return self.budget_seconds / 60

    def offsets(self) -> tuple[float, ...]:
        """The planned retries, in seconds after the first attempt, before jitter."""
        return tuple(offset * self.budget_seconds for offset in _OFFSETS)

    def may_attempt(self, attempts_made: int, elapsed_seconds: float) -> bool:
        """Whether a message that arrives after `attempts_made` attempts is still to be tried."""
        return attempts_made <= REQUIRED_RETRIES or elapsed_seconds <= self.budget_seconds

    def next_delay(
        self,
        attempts_made: int,
        elapsed_seconds: float,
        *,
        jitter: float,
        retry_after_seconds: float | None = None,
    ) -> float | None:
        """Seconds to wait before the next attempt, or None when the delivery is to be given up.

        `attempts_made` counts the failed attempts, the first included (≥ 1). `elapsed_seconds` is
        the time since the first attempt began. `jitter` in [-1, 1] comes from the caller's random
        source. `retry_after_seconds`, asked for by the endpoint, is honoured up to what still
        lets five retries fit.
        """
        elapsed = max(0.0, elapsed_seconds)
        required_left = max(0, REQUIRED_RETRIES + 1 - attempts_made)
        last = _LAST * self.budget_seconds
        target = self._target(attempts_made, jitter)
        if target is None:
            return None
        target = max(target, elapsed + self.min_gap_seconds)
        if retry_after_seconds is not None:
            target = max(target, elapsed + max(0.0, retry_after_seconds))
        # Every required retry after this one may hang until its timeout and still needs its pause.
        reserve = self.min_gap_seconds + self.attempt_timeout_seconds
        latest = last - max(0, required_left - 1) * reserve
        target = min(target, latest)
        if target < elapsed + self.min_gap_seconds:
            return self.min_gap_seconds if required_left else None
        return target - elapsed

    def _target(self, attempts_made: int, jitter: float) -> float | None:
        """The planned time of the next retry, jittered by a tenth of the pause before it."""
        offsets = self.offsets()
        if attempts_made > len(offsets):
            return None
        planned = offsets[attempts_made - 1]
        pause = planned - (offsets[attempts_made - 2] if attempts_made > 1 else 0.0)
        return min(planned + jitter * _JITTER * pause, _LAST * self.budget_seconds)
