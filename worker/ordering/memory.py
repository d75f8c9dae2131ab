"""The state of newest-wins in the memory of one process: for a single worker, and forgotten by it.

No method awaits anything, so each is atomic in an event loop.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from worker.ordering.newest import Stamp
from worker.ordering.store import Claim, Contended, Granted, Settlement, Timing

_NOTHING: Final[Mapping[str, Stamp]] = {}
_CANDIDATES: Final = 4
"""Cold users that are looked at for each new one. More than one, so that the store shrinks back to
its limit after leases have kept it above."""


class _User:
    """`lease` is the number of the lease that holds until `busy_until`; 0 when cooling down."""

    __slots__ = ("busy_until", "expires_at", "lease", "stamps")

    def __init__(self) -> None:
        self.lease = 0
        self.busy_until = 0.0
        self.expires_at = 0.0
        self.stamps: dict[str, Stamp] = {}


class MemoryStore:
    """Keeps at most `max_users` users; the one unused for longest is forgotten for a new one.

    A user with a live lease is never forgotten, so leases may keep it above the limit meanwhile.
    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        timing: Timing,
        max_users: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_users < 1:
            raise ValueError("there must be room for at least one user")
        self._timing = timing
        self._max_users = max_users
        self._clock = clock
        self._last_lease = 0
        self._users: OrderedDict[tuple[str, str], _User] = OrderedDict()

    def __len__(self) -> int:
        """How many users are kept."""
        return len(self._users)

    async def begin(
        self, integration_id: str, claims: Sequence[Claim]
    ) -> list[Granted | Contended]:
        """See `NewestStore`."""
        now = self._clock()
        until = now + self._timing.lease_seconds
        users = self._users
        answers: list[Granted | Contended] = []
        for name, attributes in claims:
            key = (integration_id, name)
            user = users.get(key)
            stored = _NOTHING
            if user is None:
                user = self._add(key, now)
            elif user.busy_until > now:
                answers.append(Contended(user.busy_until - now, user.lease != 0))
                continue
            else:
                users.move_to_end(key)
                if user.expires_at > now:
                    stamps = user.stamps
                    stored = {one: stamps[one] for one in attributes if one in stamps}
                else:
                    user.stamps = {}
            self._last_lease += 1
            user.lease = self._last_lease
            user.busy_until = until
            answers.append(Granted(user.lease, stored))
        return answers

    async def settle(
        self, integration_id: str, settlements: Sequence[Settlement], gap_seconds: float
    ) -> None:
        """See `NewestStore`."""
        now = self._clock()
        users = self._users
        for name, lease, written, sent in settlements:
            key = (integration_id, name)
            user = users.get(key)
            if user is None:
                if not written and not sent:
                    continue
                user = self._add(key, now)
            if written:
                self._write(user, written, now)
            if sent and (user.lease in (0, lease) or user.busy_until <= now):
                user.lease = 0
                user.busy_until = now + gap_seconds
            elif user.lease == lease:
                user.lease = 0
                user.busy_until = 0.0
            if not user.stamps and user.busy_until <= now:
                del users[key]

    async def ping(self) -> None:
        """Memory is always there."""

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _write(self, user: _User, written: Mapping[str, Stamp], now: float) -> None:
        if user.expires_at <= now:
            user.stamps = {}
        user.expires_at = now + self._timing.retention_seconds
        stamps = user.stamps
        if not stamps:
            user.stamps = dict(written)
            return
        for path, stamp in written.items():
            known = stamps.get(path)
            if known is None or stamp > known:
                stamps[path] = stamp

    def _add(self, key: tuple[str, str], now: float) -> _User:
        """A new user, and room for it: what has expired goes, and the coldest above the limit."""
        users = self._users
        for _ in range(_CANDIDATES):
            if not users:
                break
            coldest = next(iter(users))
            user = users[coldest]
            is_above_limit = len(users) >= self._max_users
            if user.busy_until > now:
                if not is_above_limit:
                    break
                if user.lease:
                    users.move_to_end(coldest)
                    continue
            elif user.expires_at > now and not is_above_limit:
                break
            del users[coldest]
        user = users[key] = _User()
        return user
