"""How much of a worker's room a lane may have: for admission and for giving up surplus. Pure.

A lane that keeps up may have what its own limits allow, since others soon have that back. One that
does not keep up may take a quarter of what is left free, the dynamic threshold of shared-memory
switches (Choudhury and Hahne, 1998): n lanes that take all they can get leave 4/(n + 4) of the room
free for everyone else. One that stands still can do nothing with more than a few. It takes these
from bundles: a single message that waits for such a lane keeps the acknowledgements of all others
from covering ranges, and a broker has twice as much to do where each message is acknowledged alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from worker.adobe.streaming import takes_batches
from worker.broker.message import Source
from worker.integrations.model import Integration

PACED_SECONDS: Final = 60.0
"""Far below the broker's `consumer_timeout`, half an hour by default."""
_FREE_SHARE: Final = 4
"""A lane that does not keep up takes one part in four of what is free."""
_STANDING_SHARE: Final = 64
_STANDING_EVENTS: Final = 4
"""A lane that stands still may have one part in 64 of the room for bundles waiting, and so many at
least; of single messages none but one that can be its next probe."""
SHORT_SHARE: Final = 4
"""Room is short when less than one part in four of it is free."""


@dataclass(frozen=True, slots=True)
class HeldLimits:
    """What an integration's own limits allow its lane: so many `events`, and, where its requests
    are limited, those `paced_events` that may go within `PACED_SECONDS`.
    """

    events: int
    paced_events: int | None


class Load(Protocol):
    """What a lane has; see `Lane`."""

    @property
    def held_limits(self) -> HeldLimits: ...
    @property
    def occupied(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    def held_of(self, intake: Source) -> int: ...
    def keeps_up(self) -> bool: ...
    def stands_still(self) -> bool: ...


def allowance(lane: Load, intake: Source, slow_lanes: int | None = None) -> int:
    """How many more events of `intake` the lane may have. Zero: it may keep what it has. Negative:
    it has to give up so many. `slow_lanes` do not keep up, this one among them, while room is
    short; None where it is not, or the question is of one event more.
    """
    occupied, limits = lane.occupied, lane.held_limits
    most = limits.events - occupied
    surplus = 0
    if limits.paced_events is not None:
        paced = limits.paced_events - occupied
        surplus, most = min(surplus, paced), min(most, paced)
    comes_in_bundles = intake.events_each > 1
    if lane.stands_still():  # nearly never
        few = max(intake.room // _STANDING_SHARE, _STANDING_EVENTS) if comes_in_bundles else 0
        standing = few - lane.waiting
        if standing <= 0:
            surplus, most = min(surplus, standing), 0
    if slow_lanes is not None:
        # As many parts as there are slow lanes, and one for everyone else.
        share = intake.room // (slow_lanes + 1)
        return min(surplus, share - lane.held_of(intake))
    if surplus < 0 or most <= 0:
        return surplus
    free = intake.free
    if comes_in_bundles and free < intake.room // SHORT_SHARE:
        # The last of a few places, of which an event takes as much as a bundle of many: without
        # them what others have parked would wait behind this lane's.
        return most if lane.keeps_up() else 0
    share = max(free // _FREE_SHARE, 1) - occupied
    if share > 0:
        return min(most, share)
    return most if lane.keeps_up() else 0


def held_limits_of(integration: Integration) -> HeldLimits:
    """The limits of what the lane of an integration may hold. What waits longer in a worker than
    `PACED_SECONDS` keeps acknowledgements open, until the broker ends the session of all customers.
    """
    limits = integration.limits
    if limits.requests_per_second is None:
        return HeldLimits(limits.events_held, None)
    per_request = limits.messages_per_request if takes_batches(integration) else 1
    paced = int(limits.requests_per_second * PACED_SECONDS * per_request)
    return HeldLimits(limits.events_held, max(1, paced))
