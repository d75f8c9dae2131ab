"""An event's lives at one integration: the first, and one for each replay of its dead letter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from worker.ledger.packing import life_key, pack_event
from worker.ledger.stories import Story, find_life

_MOST: Final = 100
"""Deliveries that are looked for, before and after."""


def next_key(story: Story, by: int = 1) -> bytes | None:
    """The key of the life that a replay of a dead letter begins; None where receipts do not name
    the event.
    """
    for one in (step.receipt for step in story.steps if not step.is_blanked):
        delivery = one.delivery + by
        if one.event and delivery >= 0:
            return life_key(pack_event(one.event), one.updated_at, story.integration, delivery)
    return None


def lives_after(connection: Connection, story: Story) -> list[Story]:
    """The lives that replays of an event's dead letter began, the first replay first."""
    return list(_lives(connection, story, 1))


def all_deliveries(connection: Connection, story: Story) -> list[Story]:
    """All lives of the event at the integration, in the order of its deliveries."""
    before = list(_lives(connection, story, -1))
    return [*reversed(before), story, *_lives(connection, story, 1)]


def _lives(connection: Connection, story: Story, by: int) -> Iterator[Story]:
    for _ in range(_MOST):
        key = next_key(story, by)
        found = None if key is None else find_life(connection, key)
        if found is None:
            return
        yield found
        story = found
