"""The tables of the ledger, the same for every database.

Texts that come again and again (ids of integrations, reasons, …) stand once in `names`, and rows
have their numbers. Of a message of receipts only the heading is kept as it came: a row is written
again from its columns, byte for byte, and `raw` has the ones for which that does not work.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

METADATA: Final = MetaData()
NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
"""Where SQLite is to have no second key beside its own number of a row."""

VERSION: Final = Table("version", METADATA, Column("version", Integer, primary_key=True))

PROGRESS: Final = Table(
    "progress",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("first_digest", LargeBinary, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("last_digest", LargeBinary, nullable=False),
    Column("read_at", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    Column("alive_at", BigInteger, nullable=False),
)
"""One row: how far the stream was read. `first_digest` and `last_digest` tell the stream again by
the first record that was read of it and by the last. `read_at` is the ledger's clock at the last
message, `written_at` that message's own time, `alive_at` when a ledger last said that it runs.
"""

NAMES: Final = Table(
    "names",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("text", Text, nullable=False, unique=True),
)

CHAINS: Final = Table(
    "chains",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("chain", LargeBinary, nullable=False, unique=True),
    Column("worker_id", BigInteger, nullable=False),
    Column("is_worker", Boolean, nullable=False),
    Column("key", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("has_ended", Boolean, nullable=False),
    Column("receipts", BigInteger, nullable=False),
    Column("state", Text),
    Column("state_at", BigInteger),
    Column("unbalanced_since", BigInteger),
    Column("unreceipted_at", BigInteger),
)
"""The head of each chain. `state` is the last state that its worker wrote, as JSON, and
`unreceipted_at` the time of the last one that told of more outcomes without a receipt than the one
before."""

MESSAGES: Final = Table(
    "messages",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("stream_offset", BigInteger, nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("heading", LargeBinary, nullable=False),
    Column("row_digests", LargeBinary),
    Column("first_receipt_id", BigInteger),
    Index("messages_by_place", "chain_id", "sequence", unique=True),
)
"""`row_digests` has the digests of rows that are no receipts, 32 bytes each, and those of all rows
of a message where one of its receipts can't be read. The receipts of a message are numbered from
`first_receipt_id` on."""

RECEIPTS: Final = Table(
    "receipts",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("message_id", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("before_id", BigInteger),
    Column("event", LargeBinary),
    Column("updated_at", BigInteger),
    Column("integration_id", BigInteger, nullable=False),
    Column("organization_id", BigInteger, nullable=False),
    Column("delivery", Integer, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("reason_id", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("user", LargeBinary),
    Column("choice", SmallInteger),
    Column("paths_id", BigInteger, nullable=False),
    Column("said", Text, nullable=False),
    Column("event_at", BigInteger),
    Column("due_at", BigInteger),
    Column("status", BigInteger),
    Column("xaction", Text),
    Column("config_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("raw", LargeBinary),
    Column("digest", LargeBinary),
    Column("cause_id", BigInteger),
    Index("receipts_by_integration", "integration_id", "at"),
)
"""`before_id` is the receipt before of the same life. `said` has a letter for each path of
`attributes`. `cause_id` is that of a text which has error, code and field, or of the empty one.
Where the row was blanked `event` is null, `digest` is not, and `raw` is the key of
its life.
"""

LIVES: Final = Table(
    "lives",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("life", LargeBinary, nullable=False, unique=True),
    Column("integration_id", BigInteger, nullable=False),
    Column("user", LargeBinary),
    Column("outcome", SmallInteger, nullable=False),
    Column("reason_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("group_id", BigInteger),
    Column("last_id", BigInteger, nullable=False),
)
"""What became of each event for each integration, so far: `last_id` is its latest receipt, 0 where
the ledger has none and knows of it by a dead letter in the queue. Rows lie
in the order in which events came, so what changes soon after lies together, and only the small
entries of two indexes are written all over the file."""
Index(
    "lives_by_user",
    LIVES.c.user,
    sqlite_where=LIVES.c.user.is_not(None),
    postgresql_where=LIVES.c.user.is_not(None),
)
IS_WAITING_OR_DEAD: Final = text("outcome IN (1, 2, 5)")
"""Of `lives`: retried, parked or dead. It is text, since an index serves only what has its very
words."""
Index(
    "lives_waiting_or_dead",
    LIVES.c.integration_id,
    LIVES.c.outcome,
    LIVES.c.at,
    sqlite_where=IS_WAITING_OR_DEAD,
    postgresql_where=IS_WAITING_OR_DEAD,
)
Index(
    "lives_by_due",
    LIVES.c.due_at,
    sqlite_where=LIVES.c.due_at.is_not(None),
    postgresql_where=LIVES.c.due_at.is_not(None),
)
Index(
    "lives_by_group",
    LIVES.c.group_id,
    LIVES.c.at,
    sqlite_where=LIVES.c.group_id.is_not(None),
    postgresql_where=LIVES.c.group_id.is_not(None),
)

Index(
    "lives_without_receipts",
    LIVES.c.at,
    sqlite_where=LIVES.c.last_id == 0,
    postgresql_where=LIVES.c.last_id == 0,
)

BALANCES: Final = Table(
    "balances",
    METADATA,
    Column("integration_id", BigInteger, primary_key=True),
    Column("outcome", SmallInteger, primary_key=True),
    Column("lives", BigInteger, nullable=False),
)
"""How many lives of an integration have which outcome now."""

MINUTES: Final = Table(
    "minutes",
    METADATA,
    Column("minute", BigInteger, primary_key=True),
    Column("integration_id", BigInteger, primary_key=True),
    Column("outcome", SmallInteger, primary_key=True),
    Column("reason_id", BigInteger, primary_key=True),
    Column("choice", SmallInteger, primary_key=True),
    Column("receipts", BigInteger, nullable=False),
    Column("lag_ms", BigInteger, nullable=False),
    Column("most_lag_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Receipts by minute since 1970. The lag is from the choice to the outcome, of delivered ones."""

ACTS: Final = Table(
    "acts",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("message_id", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("act", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("integration", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("row", LargeBinary, nullable=False),
)
"""What people did, in the order of the stream: `row` is what stood there, see `evidence.act`."""

FINDINGS: Final = Table(
    "findings",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("chain_id", BigInteger),
    Column("sequence", BigInteger),
    Column("stream_offset", BigInteger),
    Column("found_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
)
"""What is wrong with the stream: one row for each kind and chain."""
