"""What receipts know of dead letters: which choice each is, and what a replay would come to.

A letter is known by the key of its life. Adobe has something newer of it where another event of the
same person at the same integration was delivered, was made later, and spoke of the same paths. By
receipts that is known within one month, since the hash of a person changes with it; newest-wins,
which decides when the letter comes, knows more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from sqlalchemy import Connection, select

from worker.evidence.receipt import ChoiceKind, OutcomeName
from worker.ledger.database import portions, rows_with
from worker.ledger.dictionary import texts_of
from worker.ledger.life import DELIVERED
from worker.ledger.packing import OUTCOMES
from worker.ledger.schema import LIVES
from worker.ledger.stored_receipts import StoredReceipt, lives_back, receipts_with

Prospect = Literal["sent", "superseded", "duplicate", "unknown"]
"""What a replay would come to, as far as receipts tell."""

_MOST_RECEIPTS: Final = 200_000


class LetterLife(NamedTuple):
    """What receipts know of a dead letter; `user` is the short form of its person's hash."""

    outcome: OutcomeName
    choice: ChoiceKind | None
    user: str | None
    prospect: Prospect


class _Dead(NamedTuple):
    key: bytes
    outcome: int
    integration_id: int
    user: bytes | None
    receipt: StoredReceipt
    choice: ChoiceKind | None


def letter_lives(connection: Connection, keys: Collection[bytes]) -> dict[bytes, LetterLife]:
    """What receipts know of the dead letters of lives with these keys."""
    dead = list(_dead(connection, keys))
    newer = _delivered_of(connection, {one.user for one in dead if one.user is not None})
    return {one.key: _told(one, newer) for one in dead}


class LifeOutcome(NamedTuple):
    """How a life stands. `reason` is that of a skip, "" otherwise."""

    outcome: OutcomeName
    reason: str = ""


def outcomes_of(connection: Connection, keys: Collection[bytes]) -> dict[bytes, LifeOutcome]:
    """How the lives with these keys stand; those without a receipt are left out."""
    rows = list(rows_with(connection, LIVES.c.life, sorted(keys)))
    found: dict[bytes, LifeOutcome] = {}
    reasons = texts_of(connection, {row[5] for row in rows})
    for row in rows:
        outcome = OUTCOMES[row[4]]
        reason = reasons.get(row[5], "") if outcome == "skipped" else ""
        found[bytes(row[1])] = LifeOutcome(outcome, reason)
    return found


def _dead(connection: Connection, keys: Collection[bytes]) -> Iterable[_Dead]:
    lives = list(rows_with(connection, LIVES.c.life, sorted(keys)))
    receipts = {one.id: one for one in receipts_with(connection, [life[9] for life in lives])}
    before = _choices_before(connection, receipts.values())
    for _, key, integration_id, user, outcome, *_, last_id in lives:
        if last_id in receipts:
            last = receipts[last_id]
            choice = last.receipt.choice or before.get(last_id)
            yield _Dead(bytes(key), outcome, integration_id, user, last, choice)


def _choices_before(
    connection: Connection, receipts: Iterable[StoredReceipt]
) -> dict[int, ChoiceKind]:
    """What earlier receipts of a life say of its choice where the last one does not, by the number
    of the last one.
    """
    found: dict[int, ChoiceKind] = {}
    lasts = {one.before_id: one.id for one in receipts if one.receipt.choice is None}
    looked_at = 0
    while (wanted := [one for one in lasts if one is not None]) and looked_at < _MOST_RECEIPTS:
        looked_at += len(wanted)
        earlier: dict[int | None, int] = {}
        for one in receipts_with(connection, wanted):
            if one.receipt.choice is not None:
                found[lasts[one.id]] = one.receipt.choice
            else:
                earlier[one.before_id] = lasts[one.id]
        lasts = earlier
    return found


def _delivered_of(
    connection: Connection, users: Collection[bytes]
) -> dict[tuple[bytes, str], list[StoredReceipt]]:
    """The delivered receipts of these persons, by person and integration."""
    found: dict[tuple[bytes, str], list[StoredReceipt]] = {}
    for some in portions(sorted(users)):
        theirs = LIVES.c.user.in_(some)
        query = select(LIVES.c.last_id, LIVES.c.user).where(theirs, LIVES.c.outcome == DELIVERED)
        last_ids = [row.last_id for row in connection.execute(query)]
        for one in lives_back(connection, last_ids, _MOST_RECEIPTS):
            if one.receipt.outcome == "delivered" and one.packed_user is not None:
                place = (one.packed_user[4:12], one.receipt.integration)
                found.setdefault(place, []).append(one)
    return found


def _told(one: _Dead, delivered: Mapping[tuple[bytes, str], list[StoredReceipt]]) -> LetterLife:
    receipt = one.receipt.receipt
    prospect: Prospect = "unknown"
    if one.user is not None and receipt.event_at is not None:
        theirs = delivered.get((one.user, receipt.integration), [])
        prospect = _prospect(one.receipt, theirs)
    return LetterLife(OUTCOMES[one.outcome], one.choice, receipt.user, prospect)


def _prospect(letter: StoredReceipt, delivered: Iterable[StoredReceipt]) -> Prospect:
    mine = letter.receipt
    newest: dict[str, int] = {}
    for one in delivered:
        receipt = one.receipt
        if one.packed_user != letter.packed_user or receipt.event_at is None:
            continue
        if receipt.event == mine.event and receipt.updated_at == mine.updated_at:
            return "duplicate"
        for path in receipt.attributes:
            newest[path] = max(newest.get(path, receipt.event_at), receipt.event_at)
    said = mine.event_at or 0
    if mine.attributes and all(newest.get(path, said) > said for path in mine.attributes):
        return "superseded"
    return "sent"
