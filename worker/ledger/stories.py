"""Finds the lives of an event or of a person, each with all of its receipts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from worker.broker.dead_letter import DeadLetter
from worker.evidence.receipt import OutcomeName
from worker.ledger.dictionary import id_of, texts_of
from worker.ledger.known_letters import letters_of
from worker.ledger.life import WAITING
from worker.ledger.packing import (
    OUTCOME_NUMBERS,
    OUTCOMES,
    after,
    event_prefix,
    pack_event,
    user_prefix,
)
from worker.ledger.schema import LIVES, RECEIPTS
from worker.ledger.schema_letters import LETTERS
from worker.ledger.stored_receipts import StoredReceipt, key_of_life, lives_back, stored

MOST_LIVES: Final = 1_000
MOST_RECEIPTS: Final = 50_000
"""Of one answer. An event that is parked for a day comes by some four hundred times."""


class Wanted(NamedTuple):
    """Which lives are asked for, None for any: times in ms since 1970, of what decided them."""

    integration: str | None = None
    since: int | None = None
    until: int | None = None
    outcome: OutcomeName | None = None


class Story(NamedTuple):
    """The life of an event at an integration, its steps in the order of their times. `due_at` is
    set where it waits; `key` is that of the life. `letter` is its dead letter, where the last pass
    over the queue saw one.
    """

    integration: str
    outcome: OutcomeName
    at: int
    due_at: int | None
    steps: Sequence[StoredReceipt]
    key: bytes
    letter: DeadLetter | None = None

    @property
    def event(self) -> str:
        """The id of the event; "" where it was blanked, and where there is no receipt."""
        return next((one.receipt.event for one in self.steps if one.receipt.event), "")

    @property
    def is_waiting(self) -> bool:
        """Whether an event is to come back."""
        return OUTCOME_NUMBERS[self.outcome] in WAITING


class Found(NamedTuple):
    """Lives that were found; `more` says whether there are more than one answer holds."""

    stories: Sequence[Story]
    more: bool


def find_event(connection: Connection, event: str, wanted: Wanted) -> Found:
    """The lives of an event, by its id as logs show it."""
    packed = pack_event(event)
    prefix = event_prefix(packed)
    found = _find(connection, (LIVES.c.life >= prefix) & (LIVES.c.life < after(prefix)), wanted)
    same = [
        one
        for one in found.stories
        if all(step.is_blanked or step.receipt.event == event for step in one.steps)
    ]
    return found._replace(stories=same)


def find_life(connection: Connection, key: bytes) -> Story | None:
    """The life with this key."""
    stories = _find(connection, LIVES.c.life == key, Wanted()).stories
    return stories[0] if stories else None


def find_users(connection: Connection, users: Collection[bytes], wanted: Wanted) -> Found:
    """The lives of a person, by the packed hash of each month."""
    prefixes = {user_prefix(one) for one in users}
    found = _find(connection, LIVES.c.user.in_(prefixes), wanted)
    theirs = [one for one in found.stories if any(step.packed_user in users for step in one.steps)]
    return found._replace(stories=theirs)


def find_integration(connection: Connection, wanted: Wanted) -> Found:
    """The lives of an integration that had a receipt in the time that is asked for."""
    integration_id = id_of(connection, wanted.integration or "")
    conditions = [RECEIPTS.c.integration_id == integration_id]
    if wanted.since is not None:
        conditions.append(RECEIPTS.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(RECEIPTS.c.at < wanted.until)
    if wanted.outcome is not None:
        conditions.append(RECEIPTS.c.outcome == OUTCOME_NUMBERS[wanted.outcome])
    query = select(RECEIPTS).where(*conditions).order_by(RECEIPTS.c.at.desc()).limit(MOST_LIVES)
    rows = connection.execute(query).all()
    keys = {key_of_life(one.receipt) for one in stored(connection, rows) if not one.is_blanked}
    if wanted.outcome in (None, "dead"):
        keys.update(_lives_of_letters(connection, integration_id))
    found = _find(connection, LIVES.c.life.in_(keys), wanted)
    return found._replace(more=len(rows) == MOST_LIVES)


def _lives_of_letters(connection: Connection, integration_id: int | None) -> Iterator[bytes]:
    """Of letters of an integration, some of which have no receipt."""
    query = select(LETTERS.c.life).where(LETTERS.c.integration_id == integration_id)
    latest = query.order_by(LETTERS.c.dead_at.desc()).limit(MOST_LIVES)
    yield from map(bytes, connection.execute(latest).scalars())


def _find(connection: Connection, whose: ColumnElement[bool], wanted: Wanted) -> Found:
    conditions = [whose]
    if wanted.integration is not None:
        integration_id = id_of(connection, wanted.integration)
        if integration_id is None:
            return Found((), more=False)
        conditions.append(LIVES.c.integration_id == integration_id)
    if wanted.since is not None:
        conditions.append(LIVES.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(LIVES.c.at < wanted.until)
    if wanted.outcome is not None:
        conditions.append(LIVES.c.outcome == OUTCOME_NUMBERS[wanted.outcome])
    query = select(LIVES).where(*conditions).order_by(LIVES.c.at.desc()).limit(MOST_LIVES + 1)
    lives = connection.execute(query).all()
    return Found(_told(connection, lives[:MOST_LIVES]), more=len(lives) > MOST_LIVES)


def _told(connection: Connection, lives: Sequence[Any]) -> list[Story]:
    """The stories of rows of `lives`, the oldest first."""
    by_id = {
        one.id: one
        for one in lives_back(connection, [life.last_id for life in lives], MOST_RECEIPTS)
    }
    stories = []
    integrations = texts_of(connection, [life.integration_id for life in lives])
    letters = letters_of(connection, [life.life for life in lives])
    for life in reversed(lives):
        steps = []
        number = life.last_id
        while number in by_id:
            steps.append(by_id[number])
            number = by_id[number].before_id
        steps.sort(key=lambda one: (one.receipt.at, one.id))
        integration = integrations.get(life.integration_id, "")
        key = bytes(life.life)
        outcome, letter = OUTCOMES[life.outcome], letters.get(life.life)
        stories.append(Story(integration, outcome, life.at, life.due_at, steps, key, letter))
    return stories
