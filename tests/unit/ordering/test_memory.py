"""The store in memory, by a clock that the test moves."""

from __future__ import annotations

import pytest

from worker.ordering.memory_store import MemoryStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim, Contended, Granted, Settlement, Timing

TIMING = Timing(lease_seconds=60, retention_seconds=1_000)
GAP = 1.0
OLD, NEW = Stamp(1, 0, False, "e1"), Stamp(2, 0, False, "e2")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(TIMING, max_users=3, clock=clock)


async def begin(store: MemoryStore, user: str, *attributes: str) -> Granted | Contended:
    (answer,) = await store.begin("shop", [Claim(user, attributes or ("news",))])
    return answer


async def lease(store: MemoryStore, user: str) -> int:
    answer = await begin(store, user)
    assert isinstance(answer, Granted)
    return answer.lease


async def write(store: MemoryStore, user: str, **written: Stamp) -> None:
    """Begin and settle, without a message, so that the user is free at once."""
    await store.settle("shop", [Settlement(user, await lease(store, user), written, False)], GAP)


async def stored(store: MemoryStore, user: str, *attributes: str) -> dict[str, Stamp]:
    answer = await begin(store, user, *attributes)
    assert isinstance(answer, Granted)
    await store.settle("shop", [Settlement(user, answer.lease, {}, False)], GAP)
    return dict(answer.stored)


async def test_stamps_are_kept_by_integration_and_user_and_attribute(store: MemoryStore) -> None:
    await write(store, "lena", news=NEW, offers=OLD)
    assert await stored(store, "lena", "news", "tier") == {"news": NEW}
    assert await stored(store, "emil") == {}
    (elsewhere,) = await store.begin("press", [Claim("lena", ["news"])])
    assert isinstance(elsewhere, Granted)
    assert elsewhere.stored == {}


async def test_an_older_stamp_never_replaces_a_newer_one(store: MemoryStore) -> None:
    await write(store, "lena", news=NEW)
    await write(store, "lena", news=OLD, offers=OLD)
    assert await stored(store, "lena", "news", "offers") == {"news": NEW, "offers": OLD}


async def test_a_user_is_granted_once(store: MemoryStore, clock: Clock) -> None:
    answers = await store.begin("shop", [Claim("lena", ["news"]), Claim("lena", ["offers"])])
    assert [type(one) for one in answers] == [Granted, Contended]
    clock.now = 20
    assert await begin(store, "lena") == Contended(40, is_held=True)


async def test_after_a_message_the_user_cools_down(store: MemoryStore, clock: Clock) -> None:
    await store.settle("shop", [Settlement("lena", await lease(store, "lena"), {}, True)], GAP)
    clock.now = 0.75
    assert await begin(store, "lena") == Contended(0.25, is_held=False)
    clock.now = 1
    assert isinstance(await begin(store, "lena"), Granted)


async def test_a_lease_that_ran_out_is_anybodys(store: MemoryStore, clock: Clock) -> None:
    late = await lease(store, "lena")
    clock.now = 60
    present = await lease(store, "lena")
    for sent in (False, True):
        await store.settle("shop", [Settlement("lena", late, {"news": NEW}, sent)], GAP)
        assert await begin(store, "lena") == Contended(60, is_held=True)
    await store.settle("shop", [Settlement("lena", present, {"news": OLD}, False)], GAP)
    assert await stored(store, "lena") == {"news": NEW}, (
        "what was accepted late counts all the same"
    )


async def test_settling_twice_is_settling_once(store: MemoryStore) -> None:
    settlement = Settlement("lena", await lease(store, "lena"), {"news": NEW}, False)
    await store.settle("shop", [settlement], GAP)
    held = await lease(store, "lena")
    await store.settle("shop", [settlement], GAP)
    assert isinstance(await begin(store, "lena"), Contended)
    await store.settle("shop", [Settlement("lena", held, {}, False)], GAP)
    assert await stored(store, "lena") == {"news": NEW}


async def test_stamps_expire_after_the_retention(store: MemoryStore, clock: Clock) -> None:
    await write(store, "lena", news=NEW)
    clock.now = 999
    assert await stored(store, "lena") == {"news": NEW}
    clock.now = 1_000
    assert await stored(store, "lena") == {}
    await write(store, "lena", news=OLD)
    assert await stored(store, "lena") == {"news": OLD}


async def test_what_expired_during_a_lease_does_not_come_back(
    store: MemoryStore, clock: Clock
) -> None:
    await write(store, "lena", news=NEW)
    clock.now = 990
    held = await lease(store, "lena")
    clock.now = 1_001
    await store.settle("shop", [Settlement("lena", held, {"offers": OLD}, False)], GAP)
    assert await stored(store, "lena", "news", "offers") == {"offers": OLD}


async def test_the_user_unused_for_longest_is_forgotten(store: MemoryStore) -> None:
    for user in ("lena", "emil", "nora"):
        await write(store, user, news=NEW)
    await stored(store, "lena")
    await write(store, "hugo", news=NEW)
    assert len(store) == 3
    assert await stored(store, "lena") == {"news": NEW}
    assert await stored(store, "emil") == {}


async def test_users_who_are_held_are_never_forgotten(store: MemoryStore, clock: Clock) -> None:
    names = [f"user-{i}" for i in range(12)]
    held = [await lease(store, name) for name in names]
    assert len(store) == 12
    for name in names:
        assert isinstance(await begin(store, name), Contended)
    await store.settle(
        "shop",
        [
            Settlement(n, number, {"news": NEW}, False)
            for n, number in zip(names, held, strict=True)
        ],
        GAP,
    )
    for i in range(4):
        await write(store, f"late-{i}", news=NEW)
    assert len(store) == 3, "back to the limit once they are free"


async def test_a_user_who_cools_down_is_kept_while_there_is_room(
    store: MemoryStore, clock: Clock
) -> None:
    await store.settle("shop", [Settlement("lena", await lease(store, "lena"), {}, True)], GAP)
    await write(store, "emil", news=NEW)
    assert isinstance(await begin(store, "lena"), Contended)
    await write(store, "nora", news=NEW)
    await write(store, "hugo", news=NEW)
    assert isinstance(await begin(store, "lena"), Granted), "forgotten, since there was none"


async def test_users_about_whom_nothing_is_known_take_no_room(
    store: MemoryStore, clock: Clock
) -> None:
    await write(store, "lena")
    assert len(store) == 0
    await store.settle("shop", [Settlement("emil", await lease(store, "emil"), {}, True)], GAP)
    await write(store, "nora", news=NEW)
    clock.now = 2_000
    await lease(store, "hugo")
    assert len(store) == 1, "the expired went when the next user came"


async def test_settling_for_a_forgotten_user(clock: Clock) -> None:
    store = MemoryStore(TIMING, max_users=1, clock=clock)
    late = await lease(store, "lena")
    clock.now = 60
    await write(store, "emil", news=NEW)
    await store.settle("shop", [Settlement("lena", late, {}, False)], GAP)
    assert await stored(store, "emil") == {"news": NEW}
    await store.settle("shop", [Settlement("lena", late, {"news": OLD}, True)], GAP)
    assert await begin(store, "lena") == Contended(1, is_held=False)


async def test_memory_is_always_there(store: MemoryStore) -> None:
    await store.ping()
    await store.close()


@pytest.mark.parametrize(
    "problem",
    [
        {"lease_seconds": 0},
        {"retention_seconds": 60},
    ],
)
def test_contradictory_timing_is_refused(problem: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Timing(**problem)


def test_a_store_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one user"):
        MemoryStore(TIMING, max_users=0)


async def test_integrations_are_remembered_for_a_time_and_within_bounds() -> None:
    now = 0.0
    store = MemoryStore(Timing(), clock=lambda: now)
    await store.remember_integrations(["x" * 2049, *(f"org-{n}" for n in range(100_010))], 60)
    remembered = await store.remembered_integrations()
    assert len(remembered) == 100_000
    assert "org-100009" in remembered
    now = 60.0
    assert await store.remembered_integrations() == set()
