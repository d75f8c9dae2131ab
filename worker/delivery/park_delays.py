"""For how long an event is parked that waits for a person, the clock or an answer. Pure."""

from __future__ import annotations

from typing import Final

LONGEST_HOLD_SECONDS: Final = 256.0
STOPPING_SECONDS: Final = 1.0
"""What a worker gives back as it stops may be done by another one at once."""
_FIRST_HOLD_SECONDS: Final = 4.0
_DOUBLINGS: Final = 6
_ASKING_DOUBLINGS: Final = 4
_BUSY_SECONDS: Final = 0.25
_BUSY_DOUBLINGS: Final = 6


def hold_seconds(parks: int) -> float:
    """Seconds to park an event that nothing but a person's doing or the clock can release, and that
    was parked `parks` times: 4, 8, 16 … 256, each one level of the delay.
    """
    return min(_FIRST_HOLD_SECONDS * (1 << min(parks, _DOUBLINGS)), LONGEST_HOLD_SECONDS)


def asking_seconds(parks: int) -> float:
    """Seconds to park what waits for an answer that is mostly there in a moment: 1, 2, 4, 8, 16."""
    return float(1 << min(parks, _ASKING_DOUBLINGS))


def busy_seconds(parks: int, wait_seconds: float, is_held: bool, jitter: float) -> float:
    """Seconds to park an event whose user another worker holds, for `wait_seconds` at most. A lease
    (`is_held`) is mostly given back after one request; only that of a worker that died runs out.
    `jitter` is in [-1, 1].
    """
    wait = wait_seconds
    if is_held:
        wait = min(wait, _BUSY_SECONDS * (1 << min(parks, _BUSY_DOUBLINGS)))
    return wait + _BUSY_SECONDS * (1.5 + jitter)
