"""The versions of the ledger's tables: a row says which, and numbered steps lead to the newest.

No Alembic: a ledger only ever moves forward, in one transaction, by the process that then writes
it, and what a step can't change is read from the stream again. A new ledger is made by `schema`;
an older one takes the steps since its version, which name no table of `schema`, since that goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, inspect, select

from worker.ledger.database import Database
from worker.ledger.schema import METADATA, VERSION
from worker.ledger.trouble import UnusableLedger

Step = Callable[[Connection], None]


def _causes_and_letters(connection: Connection) -> None:
    """Receipts and groups tell what went wrong in more codes, and letters are kept."""
    for statement in (
        "ALTER TABLE receipts ADD COLUMN cause_id BIGINT",
        "ALTER TABLE letter_groups ADD COLUMN code TEXT",
        "ALTER TABLE letter_groups ADD COLUMN field TEXT",
        "CREATE INDEX lives_without_receipts ON lives (at) WHERE last_id = 0",
        "CREATE TABLE letters (id INTEGER NOT NULL PRIMARY KEY, pass_id BIGINT NOT NULL,"
        " letter TEXT NOT NULL, life BLOB NOT NULL, integration_id BIGINT NOT NULL,"
        " reason_id BIGINT NOT NULL, error_id BIGINT NOT NULL, detail TEXT, status BIGINT,"
        " attempts INTEGER NOT NULL, first_attempt_at BIGINT, dead_at BIGINT,"
        " replays INTEGER NOT NULL, epoch TEXT, config_id BIGINT NOT NULL,"
        " body_bytes BIGINT NOT NULL)",
        "CREATE INDEX letters_by_letter ON letters (letter)",
        "CREATE INDEX letters_by_life ON letters (life)",
        "CREATE INDEX letters_by_time ON letters (dead_at)",
        "CREATE TABLE letter_passes (id INTEGER NOT NULL PRIMARY KEY, began_at BIGINT NOT NULL,"
        " ended_at BIGINT NOT NULL, letters BIGINT NOT NULL, unknown BIGINT NOT NULL,"
        " left_out BIGINT NOT NULL)",
    ):
        connection.exec_driver_sql(statement)


def _add_acts(connection: Connection) -> None:
    connection.exec_driver_sql(
        """
        CREATE TABLE acts (
            id INTEGER NOT NULL PRIMARY KEY, message_id BIGINT NOT NULL, place INTEGER NOT NULL,
            act TEXT NOT NULL, name TEXT NOT NULL, stage TEXT NOT NULL, who TEXT NOT NULL,
            role TEXT NOT NULL, integration TEXT NOT NULL, at BIGINT NOT NULL, row BLOB NOT NULL
        )
        """
    )
    connection.exec_driver_sql("CREATE INDEX ix_acts_act ON acts (act)")


def _add_awaited(connection: Connection) -> None:
    """What doors receive is awaited from then on, and what they had received before is not."""
    for statement in (
        "CREATE TABLE awaited (life BLOB NOT NULL PRIMARY KEY, organization_id BIGINT NOT NULL,"
        " at BIGINT NOT NULL, receipt_id BIGINT NOT NULL, is_checked BOOLEAN NOT NULL)"
        " WITHOUT ROWID",
        "CREATE INDEX awaited_by_time ON awaited (at)",
        "CREATE TABLE latest_concluded (id INTEGER NOT NULL PRIMARY KEY, at BIGINT NOT NULL)",
    ):
        connection.exec_driver_sql(statement)


def _add_unreceipted_at(connection: Connection) -> None:
    """When the outcomes without a receipt were last more, nobody kept: at the latest, when told."""
    connection.exec_driver_sql("ALTER TABLE chains ADD COLUMN unreceipted_at BIGINT")
    connection.exec_driver_sql("UPDATE chains SET unreceipted_at = state_at")


def _add_parked_again(connection: Connection) -> None:
    """What is parked again now, workers tell within minutes."""
    connection.exec_driver_sql(
        "CREATE TABLE parked_again (integration_id BIGINT NOT NULL PRIMARY KEY,"
        " due_at BIGINT NOT NULL)"
    )


def _find_waiting_and_dead_lives(connection: Connection) -> None:
    """What waits at an integration or is dead is found, however much else there is."""
    connection.exec_driver_sql(
        "CREATE INDEX lives_waiting_or_dead ON lives (integration_id, outcome, at)"
        " WHERE outcome IN (1, 2, 5)"
    )


def _note_lost_messages(connection: Connection) -> None:
    """Of what was lost before, the findings tell the last time."""
    connection.exec_driver_sql("CREATE TABLE lost_before (message_id INTEGER NOT NULL PRIMARY KEY)")
    connection.exec_driver_sql(
        """
        INSERT INTO lost_before SELECT behind.id
        FROM findings AS lost, progress, (
            SELECT id, generation, stream_offset, sequence,
                LAG(generation) OVER chain AS generation_0,
                LAG(stream_offset) OVER chain AS offset_0,
                LAG(sequence) OVER chain AS sequence_0
            FROM messages WINDOW chain AS (PARTITION BY chain_id ORDER BY sequence)
        ) AS behind
        WHERE lost.kind = 'truncated' AND lost.chain_id IS NULL
            AND NOT EXISTS (SELECT 1 FROM findings WHERE kind = 'recreated'
                AND chain_id IS NULL AND last_at > lost.last_at)
            AND sequence_0 < behind.sequence - 1
            AND behind.generation = progress.generation
            AND behind.stream_offset >= lost.stream_offset
            AND (generation_0 <> progress.generation OR offset_0 < lost.stream_offset)
        """
    )


STEPS: Final[Sequence[Step]] = (
    _causes_and_letters,
    _add_acts,
    _add_awaited,
    _add_unreceipted_at,
    _add_parked_again,
    _find_waiting_and_dead_lives,
    _note_lost_messages,
)
"""The first one leads from version 1 to version 2."""


def upgrade(database: Database, steps: Sequence[Step] = STEPS) -> None:
    """Bring the ledger's tables to the newest version. Raises `UnusableLedger` for a newer one."""
    with database.transaction() as connection:
        found = _version(connection)
        newest = 1 + len(steps)
        if found > newest:
            raise _newer(database, found, newest)
        if found == 0:
            METADATA.create_all(connection)
            connection.execute(VERSION.insert().values(version=newest))
            return
        for step in steps[found - 1 :]:
            step(connection)
        connection.execute(VERSION.update().values(version=newest))


def check_version(database: Database) -> None:
    """Raises `UnusableLedger` where this version can't read the ledger's tables."""
    newest = 1 + len(STEPS)
    with database.transaction() as connection:
        found = _version(connection)
    if found > newest:
        raise _newer(database, found, newest)
    if found < newest:
        raise UnusableLedger(
            f"the ledger {database.path.name} is empty or of an older version; start "
            "`consent-worker ledger` of this version, which brings it up to date"
        )


def _version(connection: Connection) -> int:
    """0 where there are no tables yet."""
    if not inspect(connection).has_table(VERSION.name):
        return 0
    version: int = connection.execute(select(VERSION.c.version)).scalar_one()
    return version


def _newer(database: Database, found: int, newest: int) -> UnusableLedger:
    return UnusableLedger(
        f"the ledger {database.path.name} is of a newer version ({found}, and this program knows "
        f"{newest}); run the newer program, or name another file, which is made from the stream"
    )
