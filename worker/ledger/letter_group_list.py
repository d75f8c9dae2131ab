"""Dead letters in groups: what they have in common, how many, since when."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from worker.evidence.letter_cause import Fingerprint
from worker.ledger.dictionary import id_of, texts_of
from worker.ledger.schema import LIVES
from worker.ledger.schema_letters import LETTER_GROUPS

_MOST_GROUPS: Final = 20


class LetterGroup(NamedTuple):
    """Events that became dead letters with one fingerprint; `since` and `until` are in ms since
    1970.
    """

    fingerprint: Fingerprint
    letters: int
    since: int
    until: int


def letters_by_integration(connection: Connection) -> dict[str, int]:
    """How many dead letters each integration has that were neither replayed nor discarded, "" for
    none.
    """
    query = (
        select(LETTER_GROUPS.c.integration_id, func.count())
        .join(LIVES, LIVES.c.group_id == LETTER_GROUPS.c.id)
        .group_by(LETTER_GROUPS.c.integration_id)
    )
    counts = [(row[0], row[1]) for row in connection.execute(query)]
    names = texts_of(connection, [one for one, _ in counts])
    return {names.get(one, ""): count for one, count in counts}


def letter_groups(
    connection: Connection, most: int = _MOST_GROUPS, integration: str | None = None
) -> list[LetterGroup]:
    """The groups of dead letters, or those of an integration, the one with most of them first."""
    counts = (
        select(
            LIVES.c.group_id,
            func.count().label("letters"),
            func.min(LIVES.c.at).label("since"),
            func.max(LIVES.c.at).label("until"),
        )
        .where(LIVES.c.group_id.is_not(None))
        .group_by(LIVES.c.group_id)
    )
    if integration is not None:
        theirs = LETTER_GROUPS.c.integration_id == id_of(connection, integration)
        counts = counts.where(LIVES.c.group_id.in_(select(LETTER_GROUPS.c.id).where(theirs)))
    counted = counts.order_by(func.count().desc()).limit(most).subquery()
    query = (
        select(LETTER_GROUPS, counted.c.letters, counted.c.since, counted.c.until)
        .join(counted, counted.c.group_id == LETTER_GROUPS.c.id)
        .order_by(counted.c.letters.desc())
    )
    rows = connection.execute(query).all()
    columns = ("integration_id", "reason_id", "error_id", "config_id")
    texts = texts_of(connection, {getattr(row, name) for row in rows for name in columns})
    return [
        LetterGroup(
            Fingerprint(
                reason=texts.get(row.reason_id, ""),
                error=texts.get(row.error_id) or None,
                adobe_code=row.code,
                field=row.field,
                http_status=row.status,
                integration=texts.get(row.integration_id) or None,
                config=texts.get(row.config_id) or None,
            ),
            row.letters,
            row.since,
            row.until,
        )
        for row in rows
    ]
