"""The tables of what doors have received and nobody has told an outcome of, beside those of
`schema`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table

from worker.ledger.schema import METADATA

AWAITED: Final = Table(
    "awaited",
    METADATA,
    Column("life", LargeBinary, primary_key=True),
    Column("organization_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("receipt_id", BigInteger, nullable=False),
    Column("is_checked", Boolean, nullable=False),
    Index("awaited_by_time", "at"),
    sqlite_with_rowid=False,
)
"""Events without an outcome yet: `at` is when a door received it, `receipt_id` that receipt, and
`life` the key of its life at no integration. One that `is_checked` had no outcome before its row
came here; what came since has taken the row away."""

LATEST_CONCLUDED: Final = Table(
    "latest_concluded",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
)
"""One row: when the latest event was received of those that have an outcome."""
