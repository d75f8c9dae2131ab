"""The last pass over the queue of the dead letters, as its table has it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from worker.ledger.letter_schema import LETTER_PASSES


class LetterPass(NamedTuple):
    """The last pass over the queue that came to its end; times in ms since 1970. Of its `letters`
    the ledger had no receipt of the `unknown` ones, and has no row of those that were `left_out`.
    """

    began_at: int
    ended_at: int
    letters: int
    unknown: int
    left_out: int


def last_pass(connection: Connection) -> LetterPass | None:
    """None before the first one."""
    row = connection.execute(select(LETTER_PASSES).order_by(LETTER_PASSES.c.id.desc())).first()
    return None if row is None else LetterPass(*row[1:])
