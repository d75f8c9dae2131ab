"""How the endpoint of a lane does: how fast it has lately gone, by its answers, and for want of
them. Pure but for its clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from worker.adobe.replies import Accepted, Retryable
from worker.delivery.rounds.round_results import Result
from worker.reasons import OVERLOAD, ErrorCode

_FIRST_GUESS: Final = 100.0
_LEAST: Final = 1.0
_TURN_SECONDS: Final = 0.5
_LEARN_SECONDS: Final = 1.0
_LEAST_DELAY_SECONDS: Final = 1.0
_MAX_DELAY_SECONDS: Final = 8.0
"""Soon enough that what was parked goes on within seconds of the endpoint's recovery; what comes
back in vain meanwhile waits in its queue (see `BundleOpening`)."""


class Throughput:
    """Events a second that a lane has lately settled; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate = _FIRST_GUESS
        self._horizon = 0.0
        self._busy_since = self._turned_at = self.quiet_since = clock()
        """`quiet_since`: when something was settled last, or the lane began to have something."""
        self._last = self._current = 0

    def begin(self) -> None:
        """The lane, which had nothing to do, has something."""
        self._busy_since = self.quiet_since = self._clock()
        self._rate = max(self._rate, _FIRST_GUESS)

    def count(self, settled: int) -> None:
        """So many events of the lane were settled just now."""
        self._turn()
        self.quiet_since = self._clock()
        self._current += settled

    def recent(self) -> float:
        """Events a second that the lane has settled in the last half second or whole second."""
        self._turn()
        passed = self._clock() - self._turned_at
        return (self._last + self._current) / (_TURN_SECONDS + passed)

    def seconds_until_room(self, events: int) -> float:
        """Seconds until the lane has room for `events` more that were not counted on yet."""
        now = self._clock()
        recent = self.recent()
        if recent or now - self._busy_since >= _LEARN_SECONDS:
            self._rate = max(_LEAST, recent)
        # Bounded, or what a bad hour parked would delay the parked ones of the next.
        horizon = max(self._horizon, now) + events / self._rate
        self._horizon = min(horizon, now + _MAX_DELAY_SECONDS)
        return max(_LEAST_DELAY_SECONDS, self._horizon - now)

    def _turn(self) -> None:
        passed = self._clock() - self._turned_at
        if passed >= _TURN_SECONDS:
            is_next = passed < 2 * _TURN_SECONDS
            self._last = self._current if is_next else 0
            self._current = 0
            self._turned_at = self._clock()


STILL_SECONDS: Final = 1.0
STILL_ROUND_TRIPS: Final = 3
"""Without an answer for so long, and for so many round trips, a lane with requests in flight stands
still."""
FAILS_AFTER: Final = 2
"""So many answers of an endpoint in trouble in a row, and nothing is begun but probes."""
HAND_OVER_SHARE: Final = 0.1
"""Of an attempt's time limit: after that without an answer its events are handed over."""
_SERVER_ERROR: Final = 500
_AWAITS_FAULTS_SECONDS: Final = 300.0
"""After an HTTP 500 that came behind the hand-over: so long are answers waited for, as a rule until
the events have spent their attempts. Without that answer nobody finds out which message of a
request it is that the endpoint can't digest, and each time all of them would go together."""
_LEARNING: Final = 0.25
"""Weight of the last round trip in their average."""


class EndpointHealth:
    """How the endpoint of a lane does; `clock` gives seconds. The lane sends nothing before
    `resting_until`, as Adobe asked.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.throughput = Throughput(clock)
        self.is_throttled = False
        self.resting_until = 0.0
        self.still_seconds = STILL_SECONDS
        """How long an endpoint that does well may be without an answer."""
        self.trouble: Retryable | None = None
        """What the endpoint has answered last, where that was of its trouble."""
        self._failures = 0
        self._round_trip_seconds = 0.0
        self._awaits_faults_until = 0.0

    @property
    def is_failing(self) -> bool:
        """Whether the endpoint is in trouble, by the last answers or for want of one."""
        return self._failures >= FAILS_AFTER

    @property
    def is_quiet(self) -> bool:
        """Whether the endpoint has answered nothing lately, though there was something to do."""
        return self.throughput.quiet_since < self._clock() - self.still_seconds

    @property
    def awaits_faults(self) -> bool:
        """Whether answers are waited for, since one has lately come too late to find a fault by."""
        return self._clock() < self._awaits_faults_until

    def hand_over_seconds(self, attempt_seconds: float, *, is_suspect: bool = False) -> float:
        """How long a request may be without an answer before its events are handed over. That of a
        suspect does not wait for a slow endpoint: all suspects share one place.
        """
        least = attempt_seconds * HAND_OVER_SHARE
        if is_suspect:
            return least
        if self.awaits_faults:
            return attempt_seconds
        return max(least, STILL_ROUND_TRIPS * self._round_trip_seconds)

    def configuration_changed(self) -> None:
        """A changed configuration is in force: what made the endpoint fail so far may be mended."""
        self._failures = 0

    def lost_patience(self) -> None:
        """A request has no answer for long: the endpoint hangs, as it seems."""
        self._failures = max(self._failures, FAILS_AFTER)

    def was_too_late(self) -> None:
        """The answer that was learned from last, of trouble, came when the events of its request,
        of several people, were handed over.
        """
        is_of_all = self._failures > 0
        if is_of_all and self.trouble is not None and self.trouble.http_status == _SERVER_ERROR:
            self._awaits_faults_until = self._clock() + _AWAITS_FAULTS_SECONDS

    def learn(
        self, results: Iterable[tuple[object, Result]], began: float, longest_rest_seconds: float
    ) -> bool:
        """Learn from the results of a round that began then; says whether the endpoint has too much
        to do.
        """
        overload, answered, has_results = None, False, False
        for _, result in results:
            has_results = True
            if isinstance(result, Accepted):
                answered = True
            elif isinstance(result, Retryable) and result.error in OVERLOAD:
                overload = result
        if overload is None:
            if has_results:
                self._failures = 0
                self.trouble = None
                self.is_throttled = False
            weight = _LEARNING if self._round_trip_seconds else 1
            self._round_trip_seconds += weight * (self._clock() - began - self._round_trip_seconds)
            self.still_seconds = max(STILL_SECONDS, STILL_ROUND_TRIPS * self._round_trip_seconds)
            return False
        self.trouble = overload
        self._failures = 0 if answered else self._failures + 1
        self.is_throttled = overload.error == ErrorCode.ADOBE_THROTTLED
        if overload.retry_after_seconds:
            rest = min(overload.retry_after_seconds, longest_rest_seconds)
            self.resting_until = max(self.resting_until, self._clock() + rest)
        return True
