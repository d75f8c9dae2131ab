"""Of a process that is gone the ledger keeps the counts, and not what its lanes were like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, state
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.ledger.overview import overview
from worker.ledger.reading_report import ReadingReport
from worker.ledger.schema import CHAINS
from worker.ledger.told_lanes import forget_lanes
from worker.ledger.unknown_spans import unknown_spans
from worker.ledger.upkeep import Upkeep
from worker.ledger.write_turns import WriteTurns

HOUR_MS = 3_600_000
LANE = {"integration": "shop", "state": "failing", "held": 3, "error": "timeout"}


@pytest.fixture(name="ledger")
def _ledger(tmp_path: Path) -> Iterator[LedgerFile]:
    with ledger_file(tmp_path) as ledger:
        yield ledger


@pytest.fixture(name="now")
def _now() -> int:
    """When the test begins: long after it was gathered, in a run of all."""
    return made_now_ms()


def _tells(ledger: LedgerFile, name: str, at: int, *, ends: bool = False, **said: Any) -> None:
    chain = MadeWorker(name).chain
    row = state(9, 5, **{"lanes": [LANE], "unreceipted": {"shop": 2}, "receipted": 4, **said})
    ledger.take(chain.message("begin", [], at), chain.message("state", [row], at))
    if ends:
        ledger.take(chain.message("end", [], at))


async def _count(ledger: LedgerFile) -> None:
    """What the ledger does once a minute, and at the end of `--once`."""
    await Upkeep(WriteTurns(ledger.database), ReadingReport(), None, 9e9).count_missing()


def _lanes(ledger: LedgerFile) -> list[Any]:
    return [orjson.loads(row.state)["lanes"] for row in ledger.rows(CHAINS)]


async def test_who_has_ended_or_is_silent_for_an_hour_has_no_lanes_any_more(
    ledger: LedgerFile, now: int
) -> None:
    _tells(ledger, "ended:1", now, ends=True)
    _tells(ledger, "killed:1", now - HOUR_MS - 1)
    _tells(ledger, "silent:1", now - HOUR_MS + 60_000)
    _tells(ledger, "live:1", now)
    await _count(ledger)
    assert _lanes(ledger) == [[], [], [LANE], [LANE]]


async def test_what_they_counted_adds_up_as_before(ledger: LedgerFile, now: int) -> None:
    _tells(ledger, "ended:1", now, ends=True, parked_again={"shop": now}, cpu_percent=7)
    _tells(ledger, "door:1", now - HOUR_MS - 1, received=8, oldest_event_at=-5)
    told = []
    for _ in range(2):
        with ledger.transaction() as connection:
            seen = overview(connection, now)
            told.append((seen.conservation, seen.live, unknown_spans(connection, now)))
        await _count(ledger)
    assert told[0] == told[1]
    assert told[0][0].missing


async def test_who_goes_on_after_all_has_lanes_again(ledger: LedgerFile, now: int) -> None:
    chain = MadeWorker().chain
    ledger.take(chain.message("state", [state(lanes=[LANE])], now - 2 * HOUR_MS))
    await _count(ledger)
    assert _lanes(ledger) == [[]]
    ledger.take(chain.message("state", [state(lanes=[LANE])], now))
    await _count(ledger)
    assert _lanes(ledger) == [[LANE]]


@pytest.mark.parametrize(
    "written",
    [state(lanes=[LANE], more={"lanes": [LANE]}), state(lanes=[LANE])[:-1] + b',"lanes":[]}'],
)
def test_whatever_json_a_state_is_there_is_an_end_to_it(
    ledger: LedgerFile, written: bytes, now: int
) -> None:
    ledger.take(MadeWorker().chain.message("state", [written], now - 2 * HOUR_MS))
    with ledger.transaction() as connection:
        assert [forget_lanes(connection, now) for _ in range(2)] == [1, 0]
        connection.execute(CHAINS.update().values(state='{"lanes":[{}],"of":"an older version"}'))
        assert [forget_lanes(connection, now) for _ in range(2)] == [1, 0]
        assert overview(connection, now).workers == []
