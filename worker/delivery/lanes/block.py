"""The block of an integration whose set-up is at fault: a refused secret, a missing right, or
refusals of messages that prove it. Pure.

Adobe refuses each message of a customer whose organization, schema or dataset is configured wrongly
with a 400, as if each were at fault by itself. One such text proves little, many in a row do.

Such a fault is nobody's event's, so it costs none of them its retry budget: the integration is
blocked, its events are parked, and one at a time is let through to find out whether somebody has
mended it.
"""

from __future__ import annotations

from typing import Final

from worker.adobe.replies import Fault
from worker.broker.delay import by_one_level
from worker.delivery.outcome import Failure

_MESSAGES: Final = 20
_USERS: Final = 2


class SetupSuspicion:
    """What refusals tell of an integration's set-up, since its configuration changed last."""

    def __init__(self) -> None:
        self._was_accepted = False
        self._refused = 0
        self._users: set[str] = set()

    def accepted(self) -> None:
        """Adobe took a message, so what was refused before proves nothing of the set-up."""
        self._was_accepted = True
        self._refused = 0
        self._users.clear()

    def concerns(self, fault: Fault) -> bool:
        """Whether a refusal with that `fault` may be the set-up's.

        A text that both a wrong set-up and a wrong message can have is the message's, once Adobe
        has taken another one under the same configuration.
        """
        return fault == "set-up" or (fault != "message" and not self._was_accepted)

    def refused(self, user: str) -> bool:
        """Adobe refuses one more message; says whether that proves the set-up wrong: at least 20
        messages of at least two users in a row.
        """
        self._refused += 1
        if len(self._users) < _USERS:
            self._users.add(user)
        return self._refused >= _MESSAGES and len(self._users) >= _USERS


_SLOWEST: Final = 8
_DOUBLINGS: Final = 10
_LONGEST_SECONDS: Final = 240.0
"""Beside what is left until the next probe, so that the longest level of the delay is enough."""


class Block:
    """Whether an integration is blocked, and when an event may probe it. Times are seconds of one
    monotonic clock. `probe_seconds` lie between two probes at first, and up to eight times as much
    later on; a probe that tells nothing is over after `probe_timeout_seconds`.
    """

    def __init__(self, probe_seconds: float, probe_timeout_seconds: float) -> None:
        self._probe_seconds = probe_seconds
        self._probe_timeout_seconds = probe_timeout_seconds
        self._factor = 1
        self._probe_at = 0.0
        self._next_probe_is_parked = False
        self._is_probing = False
        self.failure: Failure | None = None

    @property
    def is_on(self) -> bool:
        """Whether the integration is blocked."""
        return self.failure is not None

    def failed(self, failure: Failure, now: float) -> bool:
        """The set-up is at fault; says whether the block begins with this.

        Only a probe tells something new: what else fails during a block was sent before it.
        """
        begins = self.failure is None
        self.failure = failure
        if begins or self._is_probing:
            self._factor = 1 if begins else min(self._factor * 2, _SLOWEST)
            self._probe_at = now + self._probe_seconds * self._factor
            self._is_probing = self._next_probe_is_parked = False
        return begins

    def end(self) -> bool:
        """The integration works again, or may do so; says whether there was a block."""
        was_on = self.is_on
        self.failure = None
        self._is_probing = False
        return was_on

    def claim_probe(self, now: float) -> bool:
        """Whether the event at hand is to be let through the block, as its only probe."""
        if now < self._probe_at:
            return False
        self._probe_at = now + self._probe_timeout_seconds
        self._next_probe_is_parked = False
        self._is_probing = True
        return True

    def is_probe_due(self, now: float) -> bool:
        """Whether the next event that comes will be let through the block."""
        return now >= self._probe_at

    def probe_was_inconclusive(self, now: float) -> None:
        """The probe of the block had nothing to send: the next event may be one at once."""
        if self._is_probing:
            self._probe_at = now
            self._is_probing = self._next_probe_is_parked = False

    def parking_delay(self, parks: int, now: float) -> float:
        """Seconds to park an event of a blocked integration that was parked `parks` times.

        The first one after each probe comes back as the next probe; the others come back later,
        and ever more rarely, so that a long block costs the broker little.
        """
        until_probe = max(0.0, self._probe_at - now) + 0.1
        if not self._next_probe_is_parked:
            self._next_probe_is_parked = True
            return until_probe
        spread = min(self._probe_seconds * (1 << min(parks, _DOUBLINGS)), _LONGEST_SECONDS)
        return by_one_level(until_probe + spread)
