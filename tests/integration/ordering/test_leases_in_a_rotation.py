"""Who was held by the worker before, which called users by other digests of a rotation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Claim, Contended, Granted, Settlement, Timing
from worker.ordering.user_digests import UserKeys

OLD, NEW = b"a" * 32, b"b" * 32
STEPS = {
    "old": UserKeys(OLD),
    "old~new": UserKeys(OLD, NEW),
    "new~old": UserKeys(NEW, OLD),
    "new": UserKeys(NEW),
}
"""A fleet goes from one to the next, worker by worker, and maybe back."""
NEIGHBOURS = [("old", "old~new"), ("old~new", "new~old"), ("new~old", "new")]
BOTH_WAYS = NEIGHBOURS + [(later, before) for before, later in NEIGHBOURS]
KNOW_ALL_NAMES = [one for one in BOTH_WAYS if "~" in one[1]]
LEASE_SECONDS = 60.0


class Worker:
    """With a file, at one step of the rotation."""

    def __init__(self, path: Path, step: str, now: Sequence[float]) -> None:
        self._keys = STEPS[step]
        self.store = SqliteStore(path, Timing(LEASE_SECONDS, 86_400.0), wall_clock=lambda: now[0])

    def user(self, name: str) -> str:
        return self._keys.user_key("shop", "email", name)

    async def begin(self, name: str) -> Granted | Contended:
        [answer] = await self.store.begin("shop", [Claim(self.user(name), ("a",))])
        return answer

    async def settle(self, name: str, granted: Granted | Contended) -> None:
        assert isinstance(granted, Granted)
        await self.store.settle("shop", [Settlement(self.user(name), granted.lease, {}, False)], 0)


@pytest.mark.parametrize(("before", "later"), BOTH_WAYS)
async def test_who_is_held_is_known_by_either_digest_and_so_is_who_is_free(
    tmp_path: Path, before: str, later: str
) -> None:
    now = [1_800_000_000.0]
    first = Worker(tmp_path / "state.sqlite", before, now)
    await first.begin("lena")
    await first.settle("emil", await first.begin("emil"))
    await first.store.close()
    second = Worker(tmp_path / "state.sqlite", later, now)
    held = await second.begin("lena")
    assert isinstance(held, Contended)
    assert 50 < held.wait_seconds <= LEASE_SECONDS
    assert isinstance(await second.begin("emil"), Granted)
    await second.store.close()
    now[0] += LEASE_SECONDS + 1
    third = Worker(tmp_path / "state.sqlite", later, now)
    assert isinstance(await third.begin("lena"), Granted)
    await third.store.close()


@pytest.mark.parametrize(("before", "later"), KNOW_ALL_NAMES)
async def test_who_was_freed_by_another_name_than_held_is_free(
    tmp_path: Path, before: str, later: str
) -> None:
    """As where the clock was set back: the lease of the worker before would hold once more."""
    now = [1_800_000_000.0]
    path = tmp_path / "state.sqlite"
    first = Worker(path, before, now)
    await first.begin("lena")
    await first.store.close()
    now[0] += LEASE_SECONDS + 1
    second = Worker(path, later, now)
    await second.settle("lena", await second.begin("lena"))
    await second.store.close()
    now[0] -= LEASE_SECONDS
    third = Worker(path, before, now)
    assert isinstance(await third.begin("lena"), Granted)
    await third.store.close()
