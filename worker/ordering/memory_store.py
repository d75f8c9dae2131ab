"""The state of newest-wins in the memory of one process: for a single worker, and forgotten by it.

No method awaits anything, so each is atomic in an event loop.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from worker.fast_tuples import new_tuple
from worker.ordering.epoch import EpochKeeper
from worker.ordering.erased_choices import left_after_erasure
from worker.ordering.inlet_notes import MemoryInlets
from worker.ordering.stamp import Stamp
from worker.ordering.state_ids import MemoryStateIds
from worker.ordering.store_protocol import (
    ERASED,
    LASTING_SECONDS,
    REMEMBERED_AT_MOST,
    REMEMBERED_CHARACTERS,
    UNCLEAR,
    Claim,
    Contended,
    Granted,
    OnePart,
    Settlement,
    Timing,
    to_ms,
    tombstone,
)
from worker.ordering.unclear_requests import added_at, moved
from worker.transform.decision_types import NOTHING

_MAX_SHARED_PATHS: Final = 10_000
_CANDIDATES: Final = 4
"""Cold users that are looked at for each new one: many, to shrink back after many leases."""


class _User:
    """`lease` is the number of the lease that holds until `busy_until`; 0 when cooling down.
    `stamps` are those of `paths`: two tuples, of which many users share the first, take half the
    memory of a dictionary for each. Few have `texts`.
    """

    __slots__ = ("busy_until", "expires_at", "lease", "paths", "stamps", "texts")

    def __init__(self) -> None:
        self.lease = 0
        self.busy_until = 0.0
        self.expires_at = 0.0
        self.paths: tuple[str, ...] = ()
        self.stamps: tuple[Stamp, ...] = ()
        self.texts: Mapping[str, str] = NOTHING


class MemoryStore(OnePart):
    """Keeps the state of at most `max_users` users; the one unused for longest is forgotten for a
    new one.

    A user with a live lease is never forgotten, so leases may keep it above the limit meanwhile.
    `clock` is monotonic, in seconds.
    """

    unreadable_values = 0
    """Nobody else writes here."""
    epochs: EpochKeeper | None = None
    """Each start of the process is a loss."""

    def __init__(
        self,
        timing: Timing,
        max_users: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_users < 1:
            raise ValueError("there must be room for at least one user")
        self.inlets, self.state_ids = MemoryInlets(), MemoryStateIds()
        self.timing = timing
        self._max_users = max_users
        self._clock = clock
        self._last_lease = 0
        self._paths: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._integrations: dict[str, float] = {}
        self._users: OrderedDict[str, _User] = OrderedDict()

    def __len__(self) -> int:
        """How many users are kept."""
        return len(self._users)

    async def begin(self, state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        """See `NewestStore`."""
        now = self._clock()
        until = now + self.timing.lease_seconds
        users = self._users
        answers: list[Granted | Contended] = []
        for name, attributes, wanted in claims:
            key = _key(state_id, name)
            user = users.get(key)
            stored, texts = NOTHING, NOTHING
            if user is None:
                user = self._add(key, now)
            elif user.busy_until > now:
                answers.append(Contended(user.busy_until - now, user.lease != 0))
                continue
            else:
                users.move_to_end(key)
                if user.expires_at > now:
                    known = zip(user.paths, user.stamps, strict=True)
                    stored = {path: stamp for path, stamp in known if path in attributes}
                    if UNCLEAR in stored:
                        stored[UNCLEAR] = moved(stored[UNCLEAR], -to_ms(now))
                    if user.texts:
                        texts = {path: user.texts[path] for path in wanted if path in user.texts}
                else:
                    user.paths = user.stamps = ()
                    user.texts = NOTHING
            self._last_lease += 1
            user.lease = self._last_lease
            user.busy_until = until
            answers.append(new_tuple(Granted, (user.lease, stored, texts, False)))
        return answers

    async def settle(
        self, state_id: str, settlements: Sequence[Settlement], gap_seconds: float
    ) -> None:
        """See `NewestStore`."""
        now = self._clock()
        # One object for all of them: of a float for each user, a hundred thousand users make MBs.
        free_at = now + gap_seconds
        expires_at, never = now + self.timing.retention_seconds, now + LASTING_SECONDS
        users = self._users
        for one in settlements:
            name, lease, written, sent, _, lasts, _ = one
            key = _key(state_id, name)
            user = users.get(key)
            if user is None:
                if not written and not sent:
                    continue
                user = self._add(key, now)
            if written:
                self._write(user, one, now, never if lasts else expires_at)
            if sent and (user.lease in (0, lease) or user.busy_until <= now):
                user.lease = 0
                user.busy_until = free_at
            elif user.lease == lease:
                user.lease = 0
                user.busy_until = 0.0
            if not user.stamps and user.busy_until <= now:
                del users[key]

    async def erase(self, state_id: str, user: str, before_ms: int, kept_seconds: float) -> None:
        """See `NewestStore`. Of use within this process only."""
        now = self._clock()
        key = _key(state_id, user)
        known = self._users.get(key) or self._add(key, now)
        stamp = tombstone(before_ms)
        if known.expires_at > now and ERASED in known.paths:
            stamp = max(stamp, known.stamps[known.paths.index(ERASED)])
        known.paths, known.stamps = self._shared_paths((ERASED,)), (stamp,)
        known.texts = NOTHING
        known.expires_at = now + kept_seconds

    async def remember_integrations(
        self, integrations: Collection[str], for_seconds: float
    ) -> None:
        """See `NewestStore`."""
        until = self._clock() + for_seconds
        for one in integrations:
            if len(one) <= REMEMBERED_CHARACTERS:
                self._integrations.pop(one, None)
                self._integrations[one] = until
        while len(self._integrations) > REMEMBERED_AT_MOST:
            del self._integrations[next(iter(self._integrations))]

    async def remembered_integrations(self) -> set[str]:
        """See `NewestStore`."""
        now, known = self._clock(), self._integrations
        self._integrations = {one: until for one, until in known.items() if until > now}
        return set(self._integrations)

    async def ping(self, part: str = "") -> None:
        """The state in memory can always be written."""

    async def close(self) -> None:
        """The state in memory has no connection to let go of."""

    def _write(self, user: _User, settlement: Settlement, now: float, expires_at: float) -> None:
        if user.expires_at <= now:
            user.paths = user.stamps = ()
            user.texts = NOTHING
        user.expires_at = max(user.expires_at, expires_at)  # a tombstone is kept for longer
        given_texts, written = settlement.texts, settlement.written
        if not user.paths and given_texts is None and UNCLEAR not in written:
            # The first of a user, as most are: equal stamps of one event are one object already.
            user.paths = self._shared_paths(tuple(written))
            user.stamps = tuple(written.values())
            return
        stamps = dict(zip(user.paths, user.stamps, strict=True))
        texts = dict(user.texts) if given_texts is not None else {}
        for path, given in left_after_erasure(written, stamps.get(ERASED)).items():
            known = stamps.get(path)
            if path == UNCLEAR:
                stamps[path] = added_at(to_ms(now), given, known)
            elif known is None or given > known:
                stamps[path] = given
            if given_texts is not None and stamps[path] == given:
                texts.pop(path, None)
                if path in given_texts:
                    texts[path] = given_texts[path]
        if given_texts is not None:
            user.texts = texts
        user.paths = self._shared_paths(tuple(stamps))
        same: dict[Stamp, Stamp] = {}
        user.stamps = tuple([same.setdefault(stamp, stamp) for stamp in stamps.values()])

    def _shared_paths(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        if len(self._paths) >= _MAX_SHARED_PATHS:
            self._paths.clear()
        return self._paths.setdefault(paths, paths)

    def _add(self, key: str, now: float) -> _User:
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


def _key(state_id: str, user: str) -> str:
    """One text takes half the memory of a pair."""
    return f"{state_id}\0{user}"
