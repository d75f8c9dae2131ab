"""The text beside a stamp is written, replaced, moved, kept and erased with it, in each store."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis.asyncio

from tests.integration.ordering.conftest import (
    FORMER,
    LENA,
    PRESENT,
    TIMING,
    Open,
    Wall,
    known,
)
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import (
    LASTING_SECONDS,
    Claim,
    Granted,
    NewestStore,
    Settlement,
)
from worker.ordering.user_digests import UserKeys, both_digests

OLD, NEW, NEWEST = (Stamp(time_ms, 0, False, "e") for time_ms in (1, 2, 3))


async def write(
    store: NewestStore,
    user: str,
    stamp: Stamp,
    text: str | None = "",
    *,
    path: str = "news",
    lasts: bool = False,
) -> None:
    """`text` is that beside the stamp: empty for none, None to leave what there is."""
    texts = None if text is None else {path: text} if text else {}
    (granted,) = await store.begin("shop", [Claim(user, (path,))])
    assert isinstance(granted, Granted)
    settlement = Settlement(user, granted.lease, {path: stamp}, False, texts, lasts)
    await store.settle("shop", [settlement], 0)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, open_in: Callable[[str], Open]) -> NewestStore:
    return open_in(request.param)(UserKeys(PRESENT))


@pytest.fixture
def lena() -> str:
    return UserKeys(PRESENT).user_key(*LENA)


async def test_a_text_stands_beside_its_stamp(store: NewestStore, lena: str) -> None:
    await write(store, lena, NEW, "of the new one")
    assert await known(store, lena) == ({"news": NEW}, {"news": "of the new one"})
    await write(store, lena, OLD, "of an older one")
    assert await known(store, lena) == ({"news": NEW}, {"news": "of the new one"})
    await write(store, lena, NEW, "said again")
    assert await known(store, lena) == ({"news": NEW}, {"news": "said again"})
    await write(store, lena, NEWEST, None)
    assert await known(store, lena) == ({"news": NEWEST}, {"news": "said again"})


async def test_a_stamp_without_a_text_takes_away_that_of_the_one_before(
    store: NewestStore, lena: str
) -> None:
    await write(store, lena, OLD, "of the older one")
    await write(store, lena, OLD, "of the offers", path="offers")
    await write(store, lena, NEW)
    stamps, texts = await known(store, lena, "news", "offers")
    assert stamps == {"news": NEW, "offers": OLD}
    assert {path: text for path, text in texts.items() if text} == {"offers": "of the offers"}


async def test_an_erasure_leaves_no_text(store: NewestStore, lena: str) -> None:
    await write(store, lena, NEW, "what lena chose")
    await store.erase("shop", lena, NEW.time_ms, 2_000)
    assert await known(store, lena) == ({}, {})
    await write(store, lena, NEWEST, None)
    assert await known(store, lena) == ({"news": NEWEST}, {})


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_what_lasts_is_there_after_the_retention(
    kind: str, open_in: Callable[[str], Open], wall: Wall, lena: str
) -> None:
    store = open_in(kind)(UserKeys(PRESENT))
    await write(store, lena, NEW, "what lena chose", lasts=True)
    await write(store, lena, NEW, "of the offers", path="offers")
    wall.now += TIMING.retention_seconds * 1_000
    stamps, texts = await known(store, lena, "news", "offers")
    assert stamps == {"news": NEW, "offers": NEW}, "a later one that expires shortens nothing"
    assert texts == {"news": "what lena chose", "offers": "of the offers"}


async def test_what_lasts_has_no_end_in_redis(
    open_in: Callable[[str], Open], inspector: redis.asyncio.Redis, namespace: str, lena: str
) -> None:
    store = open_in("redis")(UserKeys(PRESENT))
    await write(store, lena, NEW, "what lena chose", lasts=True)
    await write(store, lena, NEW, "of the offers", path="offers")
    left_ms = await inspector.pttl(f"{namespace}:{{shop}}:{lena}")
    assert left_ms > LASTING_SECONDS * 1_000 - 600_000


ROTATION = pytest.mark.parametrize("kind", ["sqlite", "redis"])


@ROTATION
async def test_texts_move_to_the_new_digest_with_their_stamps(
    kind: str, open_in: Callable[[str], Open]
) -> None:
    former = UserKeys(FORMER)
    await write(open_in(kind)(former), former.user_key(*LENA), NEW, "what lena chose", lasts=True)
    keys = UserKeys(PRESENT, FORMER)
    rotating, user = open_in(kind)(keys), keys.user_key(*LENA)
    assert await known(rotating, user) == ({"news": NEW}, {"news": "what lena chose"})
    await write(rotating, user, OLD, "of the offers", path="offers")
    present = open_in(kind)(UserKeys(PRESENT))
    stamps, texts = await known(present, both_digests(user)[0], "news", "offers")
    assert stamps == {"news": NEW, "offers": OLD}
    assert texts == {"news": "what lena chose", "offers": "of the offers"}


@ROTATION
@pytest.mark.parametrize(
    ("at_former", "at_present", "stands", "text"),
    [
        ((OLD, "former's"), (NEW, "present's"), NEW, "present's"),
        ((NEW, "former's"), (OLD, "present's"), NEW, "former's"),
        ((NEW, ""), (OLD, "present's"), NEW, ""),
        ((OLD, "former's"), (NEW, ""), NEW, ""),
        ((OLD, "9+a text like a stamp"), (NEW, "1+e"), NEW, "1+e"),
    ],
)
async def test_of_two_digests_the_newer_stamp_stays_with_its_own_text(
    kind: str,
    open_in: Callable[[str], Open],
    at_former: tuple[Stamp, str],
    at_present: tuple[Stamp, str],
    stands: Stamp,
    text: str,
) -> None:
    """As when workers of both secrets wrote meanwhile."""
    keys = UserKeys(PRESENT, FORMER)
    user = keys.user_key(*LENA)
    present, former = both_digests(user)
    store = open_in(kind)(keys)
    await write(store, former, *at_former)
    await write(store, present, *at_present)
    stamps, texts = await known(store, user)
    assert (stamps["news"], texts.get("news", "")) == (stands, text)
    await write(store, user, NEW, path="offers")
    stamps, texts = await known(store, present)
    assert (stamps["news"], texts.get("news", "")) == (stands, text)
