"""Acts come into the ledger by the stream, and are listed with what came of them."""

from __future__ import annotations

from pathlib import Path

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.evidence.act import Act, ActName, ActStage, encode_act
from worker.ledger.acts import ACTS_AT_ONCE, ActsWanted, act_counts, told_acts
from worker.ledger.exporting import Selection, export_lines
from worker.ledger.lost_before import LOST_BEFORE
from worker.ledger.migrations import STEPS, check_version, upgrade
from worker.ledger.parked_again_events import PARKED_AGAIN
from worker.ledger.retention import prune
from worker.ledger.schema import ACTS, CHAINS, VERSION
from worker.ledger.schema_awaited import AWAITED, LATEST_CONCLUDED

DAY_MS = 86_400_000


def _act(number: int, name: ActName = "replayed", stage: ActStage = "begun", who: str = "") -> Act:
    integration = "shop" if number % 2 else "press"
    at = made_now_ms()
    return Act(f"{number:016x}", name, stage, who, "operator", at, integration)


def _take(ledger: LedgerFile, *acts: Act) -> None:
    """Each in a chain of its own, as the console writes them."""
    for act in acts:
        chain = MadeWorker("console:7").chain
        now = made_now_ms()
        bodies = [chain.message("begin", [], now)]
        bodies.append(chain.message("trail", [encode_act(act)], now))
        assert ledger.take(*bodies, chain.message("end", [], now)) == {}


def test_acts_are_told_with_their_ends_the_latest_first(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        _take(ledger, _act(1), _act(2, "discarded", who="day"), _act(3, "revealed", "ended"))
        ended = _act(1, stage="ended")._replace(result="done", counts={"replayed": 9})
        _take(ledger, ended)
        with ledger.transaction() as connection:
            told = told_acts(connection, ActsWanted())
            assert [one.begun.name for one in told.acts] == ["revealed", "discarded", "replayed"]
            assert [one.ended is not None for one in told.acts] == [True, False, True]
            assert told.acts[2].ended == ended
            assert (told.acts[0].sequence, told.more) == (1, False)
            for wanted, count in (
                (ActsWanted(name="replayed"), 1),
                (ActsWanted(who="day"), 1),
                (ActsWanted(integration="shop"), 2),
                (ActsWanted(name="found"), 0),
                (ActsWanted(before=told.acts[1].number), 1),
            ):
                assert len(told_acts(connection, wanted).acts) == count, wanted
            counts = act_counts(connection)
        assert counts.total == 3
        assert dict(counts.names) == {"replayed": 1, "discarded": 1, "revealed": 1}
        assert ("day", 1) in counts.persons
        assert not any(row.is_worker for row in ledger.rows(CHAINS)), "a console is no worker"


def test_a_long_trail_is_read_page_by_page(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        _take(ledger, *(_act(number) for number in range(ACTS_AT_ONCE + 3)))
        with ledger.transaction() as connection:
            first = told_acts(connection, ActsWanted())
            rest = told_acts(connection, ActsWanted(before=first.acts[-1].number))
        assert (len(first.acts), first.more) == (ACTS_AT_ONCE, True)
        assert (len(rest.acts), rest.more) == (3, False)


def test_a_row_that_is_no_act_is_a_finding_and_the_others_count(tmp_path: Path) -> None:
    chain = MadeWorker("somebody:1").chain
    rows = [b"{}", encode_act(_act(1)), b"no json"]
    with ledger_file(tmp_path) as ledger:
        assert ledger.take(chain.message("begin", [], 1), chain.message("trail", rows, 1)) == {
            "unreadable": 2
        }
        assert ledger.count(ACTS) == 1


def test_what_is_old_goes_and_nobody_gets_it_by_an_export_of_receipts(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        _take(ledger, _act(1))
        ledger.take(MadeWorker().receipts([receipt()]))
        with ledger.transaction() as connection:
            lines = list(export_lines(connection, Selection(None, None, None), b""))
        assert [len(line.get("rows", ())) for line in lines] == [0, 0, 0, 1]
        with ledger.transaction() as connection:
            prune(connection, made_now_ms() + DAY_MS)
        assert ledger.count(ACTS) == 0


def test_a_ledger_of_the_version_before_gets_the_table(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        with ledger.transaction() as connection:
            for table in (ACTS, AWAITED, LATEST_CONCLUDED, LOST_BEFORE, PARKED_AGAIN):
                table.drop(connection)
            connection.exec_driver_sql("ALTER TABLE chains DROP COLUMN unreceipted_at")
            connection.exec_driver_sql("DROP INDEX lives_waiting_or_dead")
            connection.execute(VERSION.update().values(version=2))
        upgrade(ledger.database)
        check_version(ledger.database)
        with ledger.transaction() as connection:
            assert connection.execute(VERSION.select()).scalar_one() == 1 + len(STEPS)
        _take(ledger, _act(1))
        assert ledger.count(ACTS) == 1
