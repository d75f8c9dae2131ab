"""`upsert_mode: false`: a choice of whom Adobe does not know is skipped, and remembered."""

from __future__ import annotations

from typing import Any

from tests.unit.delivery import pipeline_parts
from tests.unit.delivery.parts import Store
from tests.unit.delivery.pipeline_parts import Worker, body
from tests.unit.delivery.records import MAPPINGS, choice, snapshot
from tests.unit.delivery.virtual_time import after, in_virtual_time
from tests.unit.examples import integration
from worker.adobe.replies import NoProfile

NEWER, OLDER = body("ev-2", ago=60, enabled=False), body("ev-1", ago=120)
ABSENT = [{**one, "absent": False} for one in MAPPINGS[:2]]


class Adobe(pipeline_parts.Adobe):
    """Finds Lena's profile once it is there."""

    is_there = False

    async def look_up(self, *_: object) -> NoProfile | None:
        return None if self.is_there else NoProfile()


def a_worker(adobe: Adobe, gap: float = 0, **changes: Any) -> Worker:
    shop = integration(
        upsert_mode=False,
        identities={"email": {"namespace": "Email"}},
        limits={"profile_gap_seconds": gap},
        **changes,
    )
    return Worker(adobe, Store(), shop=shop)


@in_virtual_time
async def test_what_is_older_is_superseded_once_the_profile_is_there_and_a_copy_is_delivered() -> (
    None
):
    adobe = Adobe()
    worker = a_worker(adobe)
    await worker.take(NEWER)
    adobe.is_there = True
    await worker.take(OLDER)
    assert (worker.told, adobe.records) == (["no-profile", "superseded"], [])
    await worker.take(NEWER)
    await worker.take(NEWER)
    assert worker.told[2:] == ["delivered", "duplicate"]
    assert adobe.records == [{"news": False}]


@in_virtual_time
async def test_what_is_newer_is_delivered_and_so_is_what_it_said_nothing_of() -> None:
    adobe = Adobe()
    worker = a_worker(adobe, mappings=MAPPINGS)
    await worker.take(choice(20, news=True))
    adobe.is_there = True
    await worker.take(choice(10, news=False, offers=True))
    await worker.take(choice(30, news=False))
    assert worker.told == ["no-profile", "delivered", "delivered"]
    assert adobe.records == [{"offers": True}, {"news": False}]


@in_virtual_time
async def test_a_choice_that_is_skipped_once_more_is_no_duplicate() -> None:
    adobe = Adobe()
    worker = a_worker(adobe)
    for _ in range(3):
        await worker.take(NEWER)
    await worker.take(OLDER)
    assert worker.told == ["no-profile"] * 3 + ["superseded"]


@in_virtual_time
async def test_who_was_only_looked_up_is_free_after_the_shorter_gap() -> None:
    """Else what waits in the lane would meet the gap in the state, and be parked as busy."""
    adobe = Adobe()
    worker = a_worker(adobe, gap=10)
    await worker.take(OLDER)
    adobe.is_there = True
    await worker.take(NEWER)
    await after(6)
    assert worker.told == ["no-profile", "delivered"]


@in_virtual_time
async def test_of_a_skipped_snapshot_nothing_is_remembered() -> None:
    """Who said what stands beside its stamps, and that is not so before Adobe has it."""
    adobe = Adobe()
    worker = a_worker(adobe, events="user", mappings=ABSENT)
    await worker.take(snapshot(20, news=True))
    adobe.is_there = True
    await worker.take(snapshot(10, offers=True))
    await worker.take(snapshot(20, news=True))
    assert worker.told == ["no-profile", "delivered", "delivered"]
    assert adobe.records == [{"offers": True}, {"news": True, "offers": False}]
