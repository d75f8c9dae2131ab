"""What a pass over the dead letters puts into the ledger.

The queue is the truth of what lies there. The ledger learns of letters by receipts, and of those
that have none (RabbitMQ made them itself, receipts were off or away) by the pass alone: then the
event counts as dead by its letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from worker.broker.dead_letter import DeadLetter, fingerprint_of
from worker.ledger.awaited_outcomes import conclude
from worker.ledger.database import highest_id, insert_all, portions
from worker.ledger.dictionary import Dictionary
from worker.ledger.letter_group_key import Group, LetterGroups
from worker.ledger.life import DEAD, FINAL, Life
from worker.ledger.life_rows import LifeRows
from worker.ledger.schema import RECEIPTS
from worker.ledger.schema_letters import LETTER_PASSES, LETTERS

MOST_LETTERS: Final = 500_000
"""In the ledger; of the others the pass tells how many there are."""


class SeenLetter(NamedTuple):
    """A dead letter, and the keys of the lives that may be its event's: the first is the likeliest.
    `received` are those that the event may have had when a door received it.
    """

    letter: DeadLetter
    lives: Sequence[bytes]
    received: Sequence[bytes]


class LetterRows:
    """The rows of dead letters, for the one writer, whose `dictionary` and `groups` are those of
    the receipts.
    """

    def __init__(self, dictionary: Dictionary, groups: LetterGroups) -> None:
        self._dictionary = dictionary
        self._groups = groups

    def begin(self, connection: Connection) -> int:
        """Begin a pass over the dead letters; gives its number. What an unended one left goes."""
        last = highest_id(connection, LETTER_PASSES)
        connection.execute(LETTERS.delete().where(LETTERS.c.pass_id != last))
        return last + 1

    def put(
        self, connection: Connection, pass_id: int, seen: Sequence[SeenLetter], now_ms: int
    ) -> int:
        """Put some dead letters of a pass there; gives how many of them have no receipt."""
        texts = {text for one in seen for text in _texts(one.letter)}
        ids = self._dictionary.ids_of(connection, {*texts, ""})
        lives = LifeRows(connection, {key for one in seen for key in one.lives})
        dead = [life for one in seen for life in _dead(lives, one)]
        receipted = _with_receipt(connection, [life.last_id for life in dead])
        number = highest_id(connection, LETTERS)
        rows = []
        unknown = 0
        for one in seen:
            unknown += not any(life.last_id in receipted for life in _dead(lives, one))
            number += 1
            key = self._put_life(connection, lives, one, ids, now_ms)
            rows.append((number, pass_id, one.letter.id, key, *_columns(one.letter, ids)))
        lives.write()
        conclude(connection, {key for one in seen for key in one.received})
        insert_all(connection, LETTERS, rows)
        return unknown

    def end(self, connection: Connection, row: tuple[int, int, int, int, int, int]) -> None:
        """The pass over the dead letters is over, and what it has not seen goes; `row` is that of
        the table of passes.
        """
        connection.execute(LETTERS.delete().where(LETTERS.c.pass_id != row[0]))
        connection.execute(LETTER_PASSES.delete())
        insert_all(connection, LETTER_PASSES, [row])

    def _put_life(
        self,
        connection: Connection,
        lives: LifeRows,
        one: SeenLetter,
        ids: Mapping[str, int],
        now_ms: int,
    ) -> bytes:
        """Let the event have ended, where the ledger says that it waits or knows nothing of it.
        Gives the key of its life.
        """
        known = {key: life for key in one.lives if (life := lives.get(key)) is not None}
        ended = [key for key, life in known.items() if life.outcome in FINAL]
        waiting = [key for key in known if key not in ended]
        to_end = waiting if known else [one.lives[0]]
        for key in to_end:
            before = known.get(key)
            mark = fingerprint_of(one.letter)
            reason_id = ids[mark.reason]
            integration_id = ids[mark.integration or ""]
            group = Group(
                integration_id,
                reason_id,
                ids[mark.error or ""],
                mark.http_status,
                ids[mark.config or ""],
                mark.adobe_code,
                mark.field,
            )
            life = Life(
                integration_id,
                None if before is None else before.user,
                DEAD,
                reason_id,
                now_ms if one.letter.dead_at_ms is None else one.letter.dead_at_ms,
                None,
                self._groups.id_of(connection, group),
                0 if before is None else before.last_id,
            )
            lives.put(key, life)
        return (ended or to_end)[0]


def _dead(lives: LifeRows, one: SeenLetter) -> list[Life]:
    found = [life for key in one.lives if (life := lives.get(key)) is not None]
    return [life for life in found if life.outcome == DEAD]


def _with_receipt(connection: Connection, last_ids: Iterable[int]) -> set[int]:
    """Those of the receipts that say that an event became a dead letter."""
    wanted = sorted({one for one in last_ids if one})
    found: set[int] = set()
    for some in portions(wanted):
        theirs = RECEIPTS.c.id.in_(some)
        query = select(RECEIPTS.c.id).where(theirs, RECEIPTS.c.outcome == DEAD)
        found.update(connection.execute(query).scalars())
    return found


def _texts(letter: DeadLetter) -> tuple[str, str, str, str]:
    return letter.reason, letter.integration or "", letter.error or "", letter.config or ""


def _columns(letter: DeadLetter, ids: Mapping[str, int]) -> tuple[Any, ...]:
    """In the order of the table, from the integration on."""
    reason, integration, error, config = _texts(letter)
    return (
        ids[integration],
        ids[reason],
        ids[error],
        letter.detail,
        letter.http_status,
        letter.attempts,
        letter.first_attempt_at_ms,
        letter.dead_at_ms,
        letter.replays,
        letter.epoch,
        ids[config],
        letter.body_bytes,
    )
