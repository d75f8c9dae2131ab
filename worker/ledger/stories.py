"""Finds the lives of an event or of a person, each with all of its receipts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, TextClause, select

from worker.broker.dead_letter import DeadLetter
from worker.evidence.receipt import OutcomeName
from worker.ledger.dictionary import id_of, texts_of
from worker.ledger.known_letters import letters_of
from worker.ledger.life import DEAD, WAITING
from worker.ledger.packing import (
    OUTCOME_NUMBERS,
    OUTCOMES,
    after,
    event_prefix,
    pack_event,
    user_prefix,
)
from worker.ledger.schema import IS_WAITING_OR_DEAD, LIVES, RECEIPTS
from worker.ledger.schema_letters import LETTERS
from worker.ledger.stored_receipts import StoredReceipt, key_of_life, lives_back, stored

MOST_LIVES: Final = 1_000
MOST_RECEIPTS: Final = 50_000
"""Of one answer. An event that is parked for a day comes by some four hundred times."""
MOST_LOOKED_AT: Final = 10_000
"""Receipts, where lives of an integration are found by these, in 0.3 s at most."""
MOST_PASSED_OVER: Final = 100_000
"""Of the latest receipts of an integration, to pick those with an outcome: of ten million that took
seconds where few have it."""


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
    """The lives of an integration, the latest by what decided them. Where they are found by their
    receipts, some of the latest are looked at, and `more` is said of the others.
    """
    integration_id = id_of(connection, wanted.integration or "")
    if wanted.outcome is not None and OUTCOME_NUMBERS[wanted.outcome] in WAITING | {DEAD}:
        return _find(connection, IS_WAITING_OR_DEAD, wanted)
    return _by_receipts(connection, integration_id, wanted)


def _by_receipts(connection: Connection, integration_id: int | None, wanted: Wanted) -> Found:
    """A life need not be what a receipt of it says: what was skipped may be a copy of a delivered
    event. So receipts are looked at until there are lives enough.
    """
    conditions = [RECEIPTS.c.integration_id == integration_id]
    if wanted.since is not None:
        conditions.append(RECEIPTS.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(RECEIPTS.c.at < wanted.until)
    query = select(RECEIPTS).where(*conditions)
    is_part = False
    if wanted.outcome is not None:
        newest = select(RECEIPTS.c.id).where(*conditions).order_by(RECEIPTS.c.at.desc())
        is_part = connection.execute(newest.offset(MOST_PASSED_OVER).limit(1)).first() is not None
        latest = newest.limit(MOST_PASSED_OVER).subquery()
        has_it = RECEIPTS.c.outcome == OUTCOME_NUMBERS[wanted.outcome]
        query = select(RECEIPTS).join(latest, latest.c.id == RECEIPTS.c.id).where(has_it)
    query = query.order_by(RECEIPTS.c.at.desc()).limit(MOST_LOOKED_AT)
    cursor = connection.execute(query.execution_options(yield_per=MOST_LIVES + 1))
    new = set(_lives_of_letters(connection, integration_id)) if wanted.outcome is None else set()
    seen: set[bytes] = set()
    lives: list[Row[Any]] = []
    looked_at = 0
    for rows in cursor.partitions():
        looked_at += len(rows)
        new |= {key_of_life(one.receipt) for one in stored(connection, rows) if not one.is_blanked}
        lives += _lives(connection, LIVES.c.life.in_(new - seen), wanted)
        seen |= new
        new = set()
        if len(lives) > MOST_LIVES:
            break
    cursor.close()
    lives += _lives(connection, LIVES.c.life.in_(new - seen), wanted)
    lives.sort(key=lambda one: -one.at)
    is_part |= looked_at >= MOST_LOOKED_AT or len(lives) > MOST_LIVES
    return Found(_told(connection, lives[:MOST_LIVES]), more=is_part)


def _lives_of_letters(connection: Connection, integration_id: int | None) -> Iterator[bytes]:
    """Of letters of an integration, some of which have no receipt."""
    query = select(LETTERS.c.life).where(LETTERS.c.integration_id == integration_id)
    latest = query.order_by(LETTERS.c.dead_at.desc()).limit(MOST_LIVES)
    yield from map(bytes, connection.execute(latest).scalars())


def _find(connection: Connection, whose: ColumnElement[bool] | TextClause, wanted: Wanted) -> Found:
    lives = _lives(connection, whose, wanted)
    return Found(_told(connection, lives[:MOST_LIVES]), more=len(lives) > MOST_LIVES)


def _lives(
    connection: Connection, whose: ColumnElement[bool] | TextClause, wanted: Wanted
) -> Sequence[Row[Any]]:
    """Rows of `lives`, the latest first, and one more than an answer holds where there are more."""
    conditions: list[ColumnElement[bool] | TextClause] = [whose]
    if wanted.integration is not None:
        integration_id = id_of(connection, wanted.integration)
        if integration_id is None:
            return ()
        conditions.append(LIVES.c.integration_id == integration_id)
    if wanted.since is not None:
        conditions.append(LIVES.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(LIVES.c.at < wanted.until)
    if wanted.outcome is not None:
        conditions.append(LIVES.c.outcome == OUTCOME_NUMBERS[wanted.outcome])
    query = select(LIVES).where(*conditions).order_by(LIVES.c.at.desc()).limit(MOST_LIVES + 1)
    return connection.execute(query).all()


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
