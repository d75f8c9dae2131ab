"""A ledger is brought to the newest version, and one of a newer version stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, select

from devtools.made_receipts import MadeWorker, receipt, state
from tests.unit.ledger.ledger_file import ledger_file
from worker.ledger.database import Database
from worker.ledger.letter_group_list import letter_groups
from worker.ledger.migrations import STEPS, check_version, upgrade
from worker.ledger.schema import CHAINS, METADATA, VERSION
from worker.ledger.stories import Wanted, find_event
from worker.ledger.trouble import LedgerTrouble, UnusableLedger


def _add_column(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE names ADD COLUMN note TEXT")


def _fail(connection: Connection) -> None:
    connection.exec_driver_sql("DROP TABLE names")
    connection.exec_driver_sql("ALTER TABLE nowhere ADD COLUMN note TEXT")


def _version(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute(select(VERSION.c.version)).scalar_one())


def test_the_tables_are_those_of_the_schema(tmp_path: Path) -> None:
    database = Database(f"sqlite://{tmp_path}/ledger.sqlite", writes=True)
    upgrade(database)
    with database.transaction() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == set(METADATA.tables)
        for table in METADATA.tables.values():
            columns = {one["name"] for one in found.get_columns(table.name)}
            assert columns == {one.name for one in table.columns}
    upgrade(database)
    check_version(database)
    database.close()


def test_an_older_ledger_takes_the_steps_that_it_lacks(tmp_path: Path) -> None:
    database = Database(f"sqlite://{tmp_path}/ledger.sqlite", writes=True)
    upgrade(database)
    upgrade(database, [*STEPS, _add_column])
    assert _version(database) == len(STEPS) + 2
    with database.transaction() as connection:
        names = [one["name"] for one in inspect(connection).get_columns("names")]
    assert names[-1] == "note"
    with pytest.raises(UnusableLedger, match="newer version"):
        upgrade(database)
    with pytest.raises(UnusableLedger, match="newer version"):
        check_version(database)
    database.close()


_AS_IN_VERSION_1 = (
    "DROP INDEX lives_waiting_or_dead",
    "DROP TABLE lost_before",
    "ALTER TABLE chains DROP COLUMN unreceipted_at",
    "DROP TABLE parked_again",
    "DROP TABLE acts",
    "DROP TABLE awaited",
    "DROP TABLE latest_concluded",
    "DROP TABLE letters",
    "DROP TABLE letter_passes",
    "DROP INDEX lives_without_receipts",
    "ALTER TABLE receipts DROP COLUMN cause_id",
    "ALTER TABLE letter_groups DROP COLUMN code",
    "ALTER TABLE letter_groups DROP COLUMN field",
    "UPDATE version SET version = 1",
)


def test_a_ledger_of_the_first_version_goes_on_with_what_it_has(tmp_path: Path) -> None:
    worker = MadeWorker()
    gone = {"outcome": "dead", "reason": "no-identity", "status": None}
    with ledger_file(tmp_path) as ledger:
        dead = worker.receipts([receipt("ev-1", **gone)])
        ledger.take(dead, worker.state(state(unreceipted={"shop": 1})))
        with ledger.transaction() as connection:
            for statement in _AS_IN_VERSION_1:
                connection.exec_driver_sql(statement)
        upgrade(ledger.database)
        check_version(ledger.database)
        (chain,) = ledger.rows(CHAINS)
        assert chain.unreceipted_at == chain.state_at is not None
        ledger.take(worker.receipts([receipt("ev-2", **gone), receipt("ev-3", **gone, field="a")]))
        with ledger.transaction() as connection:
            found = inspect(connection)
            for table in METADATA.tables.values():
                columns = {one["name"] for one in found.get_columns(table.name)}
                assert columns == {one.name for one in table.columns}
                indexes = {one["name"] for one in found.get_indexes(table.name)}
                assert indexes >= {one.name for one in table.indexes}
            assert [one.letters for one in letter_groups(connection)] == [2, 1], "the old group too"
            (story,) = find_event(connection, "ev-1", Wanted()).stories
            assert story.steps[0].receipt.error is None


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite://{tmp_path}/ledger.sqlite", writes=True)
    upgrade(database)
    with pytest.raises(LedgerTrouble):
        upgrade(database, [*STEPS, _fail])
    assert _version(database) == len(STEPS) + 1
    check_version(database)
    database.close()


def test_a_reader_asks_for_a_ledger_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(UnusableLedger, match="there is no ledger"):
        Database(f"sqlite://{tmp_path}/none.sqlite")
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(UnusableLedger, match="empty or of an older version"):
        check_version(Database(f"sqlite://{tmp_path}/empty.sqlite"))
    with pytest.raises(UnusableLedger, match="can't be opened for writing"):
        Database(f"sqlite://{tmp_path}/nowhere/ledger.sqlite", writes=True)
