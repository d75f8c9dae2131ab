"""Dead letters as the ledger knows them: those of the last pass over the queue, and events that
became dead letters since, by their receipts.

Whether a letter lies in the queue now only the queue can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from heapq import merge
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from worker.broker.dead_letter import DeadLetter, fingerprint_of
from worker.evidence.letter_cause import fingerprint_of_receipt
from worker.evidence.receipt import Receipt
from worker.ledger.database import portions
from worker.ledger.dictionary import texts_of
from worker.ledger.life import DEAD
from worker.ledger.schema import LIVES
from worker.ledger.schema_letters import LETTER_GROUPS, LETTER_PASSES, LETTERS
from worker.ledger.stored_receipts import receipts_with
from worker.redaction import redact

_FIRST_PAGE: Final = 50


class LetterPass(NamedTuple):
    """The last pass over the dead letters that came to its end; times in ms since 1970. Of its
    `letters` the ledger had no receipt of the `unknown` ones, and has no row of those that were
    `left_out`.
    """

    began_at: int
    ended_at: int
    letters: int
    unknown: int
    left_out: int


def last_pass(connection: Connection) -> LetterPass | None:
    """The last pass over the dead letters, None before the first one."""
    row = connection.execute(select(LETTER_PASSES).order_by(LETTER_PASSES.c.id.desc())).first()
    return None if row is None else LetterPass(*row[1:])


class KnownLetter(NamedTuple):
    """A dead letter as the ledger knows it: `life` is the key of its event's life. `letter.id` is
    "" of one that no pass has seen yet, and `receipt` is that which tells of it.
    """

    letter: DeadLetter
    life: bytes
    receipt: Receipt | None = None

    @property
    def group(self) -> str:
        """The group of the dead letter; a receipt has codes of it that are no words of a detail."""
        if self.receipt is not None:
            return fingerprint_of_receipt(self.receipt).group
        return fingerprint_of(self.letter).group


def letters_called(connection: Connection, letter_id: str) -> list[KnownLetter]:
    """The dead letters with this id; events of a bundle may share one."""
    rows = connection.execute(_of_last_pass().where(LETTERS.c.letter == letter_id)).all()
    return _known(connection, rows)


def letters_of(connection: Connection, lives: Collection[bytes]) -> dict[bytes, DeadLetter]:
    """The dead letter of each of these lives that has one."""
    found: dict[bytes, DeadLetter] = {}
    for some in portions(list(lives)):
        theirs = LETTERS.c.life.in_(some)
        rows = connection.execute(_of_last_pass().where(theirs)).all()
        found.update((one.life, one.letter) for one in _known(connection, rows))
    return found


def latest_letters(connection: Connection) -> Iterator[KnownLetter]:
    """All dead letters that the ledger knows, those first that died last; those of unknown age come
    at the end.
    """
    run = last_pass(connection)
    since = None if run is None else run.began_at
    return merge(_of_queue(connection), _since(connection, since), key=_age)


def known_letters(connection: Connection) -> int:
    """How many dead letters `latest_letters` gives, without reading them all."""
    run = last_pass(connection)
    since = None if run is None else run.began_at
    lives = _of_last_pass().with_only_columns(LETTERS.c.life)
    new = select(func.count()).select_from(LIVES).where(*_became_dead(since))
    count: int = connection.execute(new.where(LIVES.c.life.not_in(lives))).scalar_one()
    return count + (0 if run is None else run.letters - run.left_out)


def _age(one: KnownLetter) -> int:
    return -(one.letter.dead_at_ms or 0)


def _of_last_pass() -> Select[Any]:
    last = select(LETTER_PASSES.c.id).order_by(LETTER_PASSES.c.id.desc()).limit(1)
    return select(LETTERS).where(LETTERS.c.pass_id == last.scalar_subquery())


def _of_queue(connection: Connection) -> Iterator[KnownLetter]:
    rows = connection.execute(
        _of_last_pass().order_by(LETTERS.c.dead_at.desc()).execution_options(yield_per=_FIRST_PAGE)
    )
    for some in rows.partitions(_FIRST_PAGE):
        yield from _known(connection, some)


def _since(connection: Connection, since_ms: int | None) -> Iterator[KnownLetter]:
    """By the receipts of after then, of all where that is None: what no pass has seen."""
    query = select(LIVES.c.life, LIVES.c.last_id).where(*_became_dead(since_ms))
    rows = connection.execute(query.order_by(LIVES.c.at.desc())).all()
    for some in portions(rows, most=_FIRST_PAGE):
        in_queue = letters_of(connection, [row.life for row in some])
        new = {row.last_id: row.life for row in some if row.life not in in_queue}
        found = {one.id: one for one in receipts_with(connection, list(new))}
        for number, life in new.items():
            if number in found:
                receipt = found[number].receipt
                yield KnownLetter(_by_receipt(receipt), life, receipt)


def _became_dead(since_ms: int | None) -> list[ColumnElement[bool]]:
    # Each group is a range of its index, which has no order of all of them together.
    groups = LIVES.c.group_id.in_(select(LETTER_GROUPS.c.id))
    since = [] if since_ms is None else [LIVES.c.at >= since_ms]
    return [groups, LIVES.c.outcome == DEAD, LIVES.c.last_id > 0, *since]


def _by_receipt(receipt: Receipt) -> DeadLetter:
    return DeadLetter(
        id="",
        reason=receipt.reason,
        integration=receipt.integration or None,
        error=receipt.error,
        detail=None,
        http_status=receipt.status,
        attempts=receipt.attempt,
        first_attempt_at_ms=None,
        dead_at_ms=receipt.at,
        replays=receipt.delivery,
        epoch=None,
        config=receipt.config or None,
        body_bytes=0,
    )


def _known(connection: Connection, rows: Sequence[Row[Any]]) -> list[KnownLetter]:
    columns = ("integration_id", "reason_id", "error_id", "config_id")
    texts = texts_of(connection, {getattr(row, name) for row in rows for name in columns})
    return [
        KnownLetter(
            DeadLetter(
                id=row.letter,
                reason=texts.get(row.reason_id, ""),
                integration=texts.get(row.integration_id) or None,
                error=texts.get(row.error_id) or None,
                detail=None if row.detail is None else redact(row.detail),  # of before, too
                http_status=row.status,
                attempts=row.attempts,
                first_attempt_at_ms=row.first_attempt_at,
                dead_at_ms=row.dead_at,
                replays=row.replays,
                epoch=row.epoch,
                config=texts.get(row.config_id) or None,
                body_bytes=row.body_bytes,
            ),
            bytes(row.life),
        )
        for row in rows
    ]
