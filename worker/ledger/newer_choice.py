"""Which choice has superseded one, as far as receipts of the same month tell."""

from __future__ import annotations

from sqlalchemy import Connection

from worker.evidence.bounded_json import EARLIEST_MS
from worker.evidence.receipt import Receipt
from worker.ledger.stories import Story, Wanted, find_users
from worker.reasons import SkipReason


def newer_choice(connection: Connection, story: Story) -> Story | None:
    """The newest delivered choice of the same person at the same integration that spoke of a path
    of `story`; None where that was not superseded, or it isn't known.
    """
    last = story.steps[-1] if story.steps else None
    if last is None or last.packed_user is None or last.is_blanked:
        return None
    mine = last.receipt
    if mine.outcome != "skipped" or mine.reason != SkipReason.SUPERSEDED or mine.event_at is None:
        return None
    wanted = Wanted(integration=story.integration, outcome="delivered")
    found: list[tuple[int, Story]] = []
    for one in find_users(connection, {last.packed_user}, wanted).stories:
        made_at = max((_made_at(step.receipt, mine) for step in one.steps), default=EARLIEST_MS)
        if made_at > mine.event_at:
            found.append((made_at, one))
    return max(found, key=lambda one: one[0])[1] if found else None


def _made_at(one: Receipt, mine: Receipt) -> int:
    """When a choice was made of what `mine` speaks of, before all others where it was not."""
    is_of_same = not mine.attributes or bool(one.attributes.keys() & mine.attributes.keys())
    if one.outcome != "delivered" or not is_of_same or one.event_at is None:
        return EARLIEST_MS
    return one.event_at
