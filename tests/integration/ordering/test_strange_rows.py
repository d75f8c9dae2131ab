"""Rows of the file that nobody of ours has written: each concerns what it is of, and no more."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from worker.delivery.rounds.store_gate import StoreGate
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim, Granted, Settlement, Timing
from worker.ordering.user_digests import UserKeys

TIMING = Timing(60.0, 86_400.0)
YES = Stamp(1_800_000_000_000, 0, False, "event-1")
DEEP = "[" * 100_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "state.sqlite", TIMING)
    await made.ping()
    yield made
    await made.close()


def write(tmp_path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as file, file:
        file.execute(statement, values)


async def settle(store: SqliteStore, user: str) -> None:
    (granted,) = await store.begin("shop", [Claim(user, ["news"])])
    assert isinstance(granted, Granted)
    await store.settle("shop", [Settlement(user, granted.lease, {"news": YES}, False)], 0)


@pytest.mark.parametrize(
    "stamps",
    [
        pytest.param("CAST(x'ff' AS TEXT)", id="not UTF-8"),
        pytest.param("x'ff'", id="bytes"),
        pytest.param(f"'{DEEP}'", id="nested"),
        pytest.param("7", id="a number"),
    ],
)
async def test_a_user_who_cannot_be_read_is_unknown_and_others_are_known(
    store: SqliteStore, tmp_path: Path, stamps: str
) -> None:
    await settle(store, "emil")
    write(tmp_path, f"INSERT INTO users VALUES ('shop lena', {stamps}, 0, {2**60})")
    claims = [Claim("lena", ["news"]), Claim("emil", ["news"])]
    lena, emil = await store.begin("shop", claims)
    assert isinstance(lena, Granted)
    assert isinstance(emil, Granted)
    assert (lena.stored, lena.is_damaged) == ({}, True)
    assert emil.stored == {"news": YES}
    await store.settle("shop", [Settlement("lena", lena.lease, {"news": YES}, True)], 0)
    (lena,) = await store.begin("shop", [Claim("lena", ["news"])])
    assert isinstance(lena, Granted)
    assert lena.stored == {"news": YES}


@pytest.mark.parametrize("value", ["CAST(x'ff' AS TEXT)", "x'ff'", f"'{DEEP}'", "1e999"])
@pytest.mark.parametrize(
    "name",
    ["'epochs'", "'inlet shop'", "'state shop'", "'writes of state ids'", "'month key 202603'"],
)
async def test_a_fact_that_cannot_be_read_counts_as_not_there(
    store: SqliteStore, tmp_path: Path, name: str, value: str
) -> None:
    await StoreGate(store).check()
    write(tmp_path, f"INSERT OR REPLACE INTO facts VALUES ({name}, {value})")
    gate = StoreGate(store)
    await gate.check()
    assert gate.is_open
    await store.inlets.kept(["shop"])
    _, writes = await store.state_ids.read()
    assert await store.state_ids.write({"other": "x"}, writes)
    assert len(await store.month_keys.key_of("202603", 1_000)) == 32
    assert (await store.month_keys.known()).keys() == {"202603"}


async def test_other_names_than_texts_are_passed_over(store: SqliteStore, tmp_path: Path) -> None:
    for name in ("state x", "month key x", "inlet x"):
        write(tmp_path, "INSERT INTO facts VALUES (?, 'x')", name.encode() + b"\xff")
    for integration in (b"\xff", 10**15, "text"):
        write(tmp_path, "INSERT INTO integrations VALUES (?, ?)", integration, 2**60)
    await store.remember_integrations(["shop"], 100)
    assert {"shop"} <= await store.remembered_integrations() <= {"shop", "\ufffd", "text"}
    assert (await store.state_ids.read())[0] == {}
    assert await store.state_ids.write({"other": "x"}, 0)
    assert len(await store.month_keys.key_of("202603", 1_000)) == 32


async def test_a_row_with_times_that_are_none_is_passed_over_when_old_ones_are_swept(
    store: SqliteStore, tmp_path: Path
) -> None:
    write(tmp_path, "INSERT INTO users VALUES ('a', '{}', 'never', x'ff')")
    for number in range(300):  # a sweep
        await settle(store, f"user-{number}")


async def test_a_mark_of_the_secret_that_is_no_text_is_another_ones(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.sqlite", TIMING, marks=UserKeys(b"s").marks)
    await store.ping()
    await store.close()
    write(tmp_path, "UPDATE facts SET value = x'ff' WHERE name = 'digests'")
    store = SqliteStore(tmp_path / "state.sqlite", TIMING, marks=UserKeys(b"s").marks)
    gate = StoreGate(store)
    await gate.check()
    assert "is not the one that this state was kept with" in gate.problem
    await gate.stop()
