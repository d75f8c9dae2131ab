"""What the state of newest-wins must do, whichever store keeps it.

For each integration and user a store keeps the stamp of the newest accepted choice of each
attribute, beside it perhaps a text that means nothing to it, and whether the user is free. A user
is *held* while somebody has the lease, and *cooling down* for a moment after a message, because
Adobe may resolve two quick messages for one profile either way round.

    begin ─► Granted ─► fold, send ─► settle(written, sent=True)    accepted
                                   └► settle({}, sent=True)         outcome unknown or refused
                                   └► settle({}, sent=False)        nothing was sent
          └► Contended ─► wait, begin again

Everything works on batches, and one batch is one round trip.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from worker.ordering.epoch import EpochKeeper
from worker.ordering.inlet_notes import InletKeeper
from worker.ordering.stamp import Stamp
from worker.ordering.state_ids import StateIdKeeper
from worker.transform.decision_types import NOTHING

LONGEST_LEASE_SECONDS: Final = 600.0
"""Whoever is busy for longer was not made so by us (`LONGEST_BUSY_MS` of begin.lua)."""
ERASED: Final = "!"
"""No attribute's path. A stamp there is a tombstone: the user's choices until its time are erased.
Whoever claims this path beside the attributes is told of it."""
UNCLEAR: Final = "?"
"""No attribute's path. A stamp there is a mark of an unclear answer, see `unclear_requests`.
Written, its `time_ms` says for how many ms from now on it holds; granted, how many are left, none
or less when it is over. The store keeps the time between, so the workers' clocks need not agree."""
LASTING_SECONDS: Final = 100 * 365 * 86_400.0
"""For how long a store keeps what does not expire."""
REMEMBERED_AT_MOST: Final = 100_000
REMEMBERED_CHARACTERS: Final = 2048
"""Bounds of what is remembered of integrations."""


class StoreUnavailable(RuntimeError):
    """The state can't be read or written now. The text is for people and holds no secret."""


class Claim(NamedTuple):
    """A user (a digest, see `user_digests`) for whom `attributes`, paths, are about to be sent.
    `texts`: those of them of which the text beside the stamp is wanted as well.
    """

    user: str
    attributes: Collection[str]
    texts: Collection[str] = ()


class Granted(NamedTuple):
    """The user is ours for `lease_seconds`. `lease` is the number to settle with; `stored` has the
    stamps of those claimed attributes that have one, and `texts` the texts; neither must be
    changed. `is_damaged`: something is there that can't be read, so that what is missing may have
    been said.
    """

    lease: int
    stored: Mapping[str, Stamp]
    texts: Mapping[str, str] = NOTHING
    is_damaged: bool = False


class Contended(NamedTuple):
    """The user is not free. It is after `wait_seconds` at the latest, unless taken again.

    `is_held`: somebody has the lease, and mostly gives it back long before it runs out. Otherwise
    the user is cooling down, which takes the whole time.
    """

    wait_seconds: float
    is_held: bool


class Settlement(NamedTuple):
    """The end of a lease: `written`, the stamps of what Adobe accepted; `sent`, whether anything
    was sent at all, accepted or not.

    `texts` are those beside the stamps, each written exactly when its stamp is, or stands already:
    a stamp without one takes away what was there. None leaves all texts as they are. `lasts`:
    nothing of the user expires from now on. `is_part`: without what stood at the grant the stamps
    would pass for all that there is; so a store that may have lost its data since then writes them
    only where something of the user is there.
    """

    user: str
    lease: int
    written: Mapping[str, Stamp]
    sent: bool
    texts: Mapping[str, str] | None = None
    lasts: bool = False
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """How long leases and stamps last, in seconds. ValueError where the two contradict each other.

    `lease_seconds` must be longer than an attempt may take, or a second worker starts while the
    first still sends. `retention_seconds` is how long a stamp is kept after its user's last change.
    """

    lease_seconds: float = 60.0
    retention_seconds: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        if self.lease_seconds > LONGEST_LEASE_SECONDS:
            raise ValueError("the lease must be ten minutes at most")
        if self.lease_seconds < 0.001:
            raise ValueError("the lease must be at least a millisecond")
        if self.retention_seconds <= self.lease_seconds:
            raise ValueError("the retention must be longer than the lease")


def to_ms(seconds: float) -> int:
    """A time in seconds as whole milliseconds."""
    return round(seconds * 1000)


def tombstone(before_ms: int) -> Stamp:
    """The stamp of an erasure, for the path `ERASED`."""
    return Stamp(before_ms, 0, False, "erased")


class OnePart:
    """A store that is there as a whole, or away as a whole; see `NewestStore`."""

    parts: Sequence[str] = ("",)
    shared_part = ""

    def part_of(self, state_id: str) -> str:
        """See `NewestStore`."""
        return ""


class NewestStore(Protocol):
    """The state of newest-wins. Every method may raise `StoreUnavailable` and nothing else.

    `state_id` says whose state: mostly the id of the integration, see `state_ids`.
    """

    @property
    def parts(self) -> Sequence[str]:
        """The parts of the store that may be away one by one, such as the masters of a cluster,
        each by a name for people; one without a name where the store is of one piece. They may
        change.
        """
        ...

    @property
    def timing(self) -> Timing:
        """How long its leases and stamps last."""
        ...

    @property
    def shared_part(self) -> str:
        """The part of the store that has what is of all integrations: `epochs`, `inlets`,
        `state_ids`.
        """
        ...

    def part_of(self, state_id: str) -> str:
        """The part of the store that has the state of an integration."""
        ...

    @property
    def unreadable_values(self) -> int:
        """How many stored values could not be read since the start; each counted as unknown."""

    @property
    def epochs(self) -> EpochKeeper | None:
        """The epochs by which a loss of the whole state shows; None of a store that each process
        has anew.
        """
        ...

    @property
    def inlets(self) -> InletKeeper:
        """Where it is kept of which kind the integrations' inlets are."""
        ...

    @property
    def state_ids(self) -> StateIdKeeper:
        """Where it is remembered under which id the state of each integration is kept."""
        ...

    async def begin(self, state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        """One answer for each claim, in their order. A user who is claimed twice is granted once.

        When it raises, nothing is held by us: to ask again is granted, also where the first try
        was carried out and only its answer got lost.
        """
        ...

    async def settle(
        self, state_id: str, settlements: Sequence[Settlement], gap_seconds: float
    ) -> None:
        """Write stamps and give leases back.

        A stamp never replaces a newer one, so it is right to write also after the lease has run
        out; but then somebody else may have sent for the user meanwhile. Only the lease with that
        number is given back: one that ran out and was taken by somebody else stays theirs. `sent`
        starts the gap, the pause of `gap_seconds` (0 for none) before the next message for the
        user, unless somebody else holds the user.

        When it raises, do it again: repeating does no harm, and until it succeeds the user stays
        held for as long as the lease runs. An event whose verdict awaits the message must not be
        acknowledged before this has returned: if the worker dies in between, the event comes again,
        and its stamp is written then.
        """
        ...

    async def erase(self, state_id: str, user: str, before_ms: int, kept_seconds: float) -> None:
        """Forget the stamps and the mark of a user, and leave a tombstone, see `ERASED`, for at
        least so long. The caller holds the user. The later of two tombstones stays.
        """
        ...

    async def remember_integrations(
        self, integrations: Collection[str], for_seconds: float
    ) -> None:
        """Keep for so long that these integrations were in force, each as a text of the caller's:
        the last hundred thousand, and no text of more than 2,048 characters. 0 seconds forgets.
        """
        ...

    async def remembered_integrations(self) -> set[str]:
        """The integrations of `remember_integrations` for which that time is not over."""
        ...

    async def ping(self, part: str = "") -> None:
        """Return if `part` of the store can be written now, which it finds out by a write; also if
        it is none any more.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection of the store. Leases that are still held run out by
        themselves.
        """
        ...
