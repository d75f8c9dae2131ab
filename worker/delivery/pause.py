"""The pause of an integration whose set-up is at fault: a refused secret, a missing right. Pure.

Such a fault is nobody's event's, so it costs none of them its retry budget: the integration pauses,
its events are parked, and one at a time is let through to find out whether somebody has mended it.
"""

from __future__ import annotations

from typing import Final

from worker.delivery.outcome import Failure

SETUP_ERRORS: Final = frozenset(
    {
        "adobe-refused",
        "endpoint-not-allowed",
        "lookup-refused",
        "lookup-rejected",
        "token-refused",
    }
)
"""Errors that a person must mend, in the configuration or at Adobe."""
_SLOWEST: Final = 8


class SetupPause:
    """Times are seconds of one monotonic clock. `probe_seconds` lie between two probes at first,
    and up to eight times as much later on; a probe that tells nothing is over after
    `probe_timeout_seconds`.
    """

    def __init__(self, probe_seconds: float, probe_timeout_seconds: float) -> None:
        self._probe_seconds = probe_seconds
        self._probe_timeout_seconds = probe_timeout_seconds
        self._factor = 1
        self._probe_at = 0.0
        self._scout_is_out = False
        self._is_probing = False
        self.failure: Failure | None = None

    @property
    def is_on(self) -> bool:
        """Whether the integration is paused."""
        return self.failure is not None

    def failed(self, failure: Failure, now: float) -> bool:
        """The set-up is at fault; says whether the pause begins with this.

        Only a probe tells something new: what else fails during a pause was sent before it.
        """
        begins = self.failure is None
        self.failure = failure
        if begins or self._is_probing:
            self._factor = 1 if begins else min(self._factor * 2, _SLOWEST)
            self._probe_at = now + self._probe_seconds * self._factor
            self._is_probing = self._scout_is_out = False
        return begins

    def end(self) -> bool:
        """It works again, or may do so; says whether there was a pause."""
        was_on = self.is_on
        self.failure = None
        self._is_probing = False
        return was_on

    def take_probe(self, now: float) -> bool:
        """Whether the event at hand is to be let through, as the only one."""
        if now < self._probe_at:
            return False
        self._probe_at = now + self._probe_timeout_seconds
        self._scout_is_out = False
        self._is_probing = True
        return True

    def told_nothing(self, now: float) -> None:
        """The event let through had nothing to send: the next one may be the probe at once."""
        if self._is_probing:
            self._probe_at = now
            self._is_probing = self._scout_is_out = False

    def parking_delay(self, parks: int, now: float, jitter: float) -> float:
        """Seconds to park an event that was parked `parks` times; `jitter` is in [-1, 1].

        The first one after each probe is the scout that will be the next probe; the others come
        back later, and ever more rarely, so that a long pause costs the broker little.
        """
        until_probe = max(0.0, self._probe_at - now) + 0.1
        if not self._scout_is_out:
            self._scout_is_out = True
            return until_probe
        spread = self._probe_seconds * min(1 << min(parks, 10), _SLOWEST)
        return until_probe + spread * (1 + 0.5 * jitter)
