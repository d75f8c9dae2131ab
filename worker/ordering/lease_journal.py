"""Who was held when a worker with a file was killed.

A request that was written lives on at Adobe, or on its way there, when its worker is gone. Until
the lease of then is over the next choice of that user has to wait, as it does with Redis, or the
old request may be carried out over it. A lease in the database would cost a commit each; a line in
a file that is not forced to the disk costs next to nothing, and outlives the process, if not the
machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from worker.ordering.store_protocol import to_ms
from worker.ordering.user_digests import both_digests

_OWNER_ONLY: Final = 0o600
_FREE: Final = 0


class LeaseJournal:
    """The leases of the worker whose state is in the file `path`, in two files beside it, `-leases`
    and `-leases.1`, of which each serves for as long as a lease, `lease_seconds`. `wall_clock` is
    in seconds since 1970. But for `left_ms`, methods belong to one thread, may block for the disk,
    and raise OSError.
    """

    def __init__(
        self, path: Path, lease_seconds: float, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path.with_name(f"{path.name}-leases")
        self._before = path.with_name(f"{path.name}-leases.1")
        self._lease_ms = to_ms(lease_seconds)
        self._wall_clock = wall_clock
        self._file: int | None = None
        self._began_ms = 0
        self._left: dict[tuple[str, str], int] = {}

    def hold(self, state_id: str, users: Collection[str]) -> None:
        """Users are held from now on."""
        now_ms = to_ms(self._wall_clock())
        if self._file is None:
            self._open(now_ms)
        elif now_ms - self._began_ms > self._lease_ms:
            self._turn(now_ms)
        if users:
            self._write(now_ms + self._lease_ms, state_id, users)

    def free(self, state_id: str, users: Collection[str]) -> None:
        """Users are held no more: their requests have an answer."""
        if users and self._file is not None:
            self._write(_FREE, state_id, users)

    def left_ms(self, state_id: str, user: str) -> int:
        """For how long a user is held yet by the worker before this one; 0 for nearly all."""
        if not self._left:
            return 0
        # By either digest: the worker before may have been at another step of a rotation.
        known = (self._left.get((state_id, one), 0) for one in both_digests(user) if one)
        left = max(known) - to_ms(self._wall_clock())
        return min(max(left, 0), self._lease_ms)  # less, where the clock was set back

    def close(self) -> None:
        """End the journal; what is held stays so for the next worker."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, now_ms: int) -> None:
        for line in self._lines():
            with suppress(ValueError, TypeError):
                until_ms, state_id, users = orjson.loads(line)
                digests = (one for user in users for one in both_digests(user) if one)
                self._left.update(((state_id, one), int(until_ms)) for one in digests)
        self._left = {who: until for who, until in self._left.items() if until > now_ms}
        self._start(now_ms)
        self._append(b"\n")  # the last line may be half written

    def _lines(self) -> Iterator[bytes]:
        for path in (self._before, self._path):
            with suppress(FileNotFoundError), path.open("rb") as file:
                yield from file

    def _turn(self, now_ms: int) -> None:
        self.close()
        self._path.replace(self._before)
        self._start(now_ms)
        self._left = {who: until for who, until in self._left.items() if until > now_ms}

    def _start(self, now_ms: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(self._path, flags, _OWNER_ONLY)
        self._began_ms = now_ms

    def _write(self, until_ms: int, state_id: str, users: Collection[str]) -> None:
        line: list[Any] = [until_ms, state_id, list(users)]
        self._append(orjson.dumps(line) + b"\n")

    def _append(self, line: bytes) -> None:
        if self._file is not None:
            os.write(self._file, line)
