"""The tables of dead letters, beside those of `schema`; who makes all tables takes them here."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from worker.ledger.schema import METADATA, NUMBER

__all__ = ["LETTERS", "LETTER_GROUPS", "LETTER_PASSES", "METADATA"]

LETTER_GROUPS: Final = Table(
    "letter_groups",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False, unique=True),
    Column("integration_id", BigInteger, nullable=False),
    Column("reason_id", BigInteger, nullable=False),
    Column("error_id", BigInteger, nullable=False),
    Column("status", BigInteger),
    Column("config_id", BigInteger, nullable=False),
    Column("code", Text),
    Column("field", Text),
)
"""What dead letters have in common. `code` is Adobe's, `field` the path of what is wrong."""

LETTERS: Final = Table(
    "letters",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("pass_id", BigInteger, nullable=False),
    Column("letter", Text, nullable=False),
    Column("life", LargeBinary, nullable=False),
    Column("integration_id", BigInteger, nullable=False),
    Column("reason_id", BigInteger, nullable=False),
    Column("error_id", BigInteger, nullable=False),
    Column("detail", Text),
    Column("status", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("first_attempt_at", BigInteger),
    Column("dead_at", BigInteger),
    Column("replays", Integer, nullable=False),
    Column("epoch", Text),
    Column("config_id", BigInteger, nullable=False),
    Column("body_bytes", BigInteger, nullable=False),
    Index("letters_by_letter", "letter"),
    Index("letters_by_life", "life"),
    Index("letters_by_time", "dead_at"),
)
"""The dead letters that lay in the queue at the last pass over it, with nothing of their bodies.
Numbers of texts are those of "" for what a letter does not have."""

LETTER_PASSES: Final = Table(
    "letter_passes",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("began_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("letters", BigInteger, nullable=False),
    Column("unknown", BigInteger, nullable=False),
    Column("left_out", BigInteger, nullable=False),
)
"""The last pass that came to its end. Of its `letters` the ledger had no receipt of the `unknown`
ones; those that were `left_out` are in no table, for want of room.
"""
