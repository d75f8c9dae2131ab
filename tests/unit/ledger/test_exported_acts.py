"""A file of acts for an auditor has whole ones, verifies by itself, and each change is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from devtools.made_receipts import MadeWorker, receipt
from tests.unit.cli.conftest import CommandLine
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from tests.unit.ledger.made_acts import made_act, put_on_record
from worker.evidence.act import encode_act, read_act
from worker.evidence.chain import Chain
from worker.evidence.exported_file import NOT_TOLD, NoExport, verify_file
from worker.evidence.findings import FindingCode
from worker.evidence.signing import Keyring
from worker.ledger.checked_acts import checked_acts
from worker.ledger.exporting_acts import ActSelection, export_acts
from worker.ledger.records import Start
from worker.ledger.schema import ACTS, MESSAGES

SECRET = b"of the operators"
DAY_MS = 86_400_000
START_MS = 1_764_000_000_000
ALL = ActSelection(None, None, None)
Lines = list[dict[str, Any]]


def _filled(ledger: LedgerFile) -> None:
    """A discard that takes two days, with receipts between its beginning and its end; and a replay
    of the press on the third day.
    """
    begun = made_act(1, at=START_MS, counts={"letters": 2})
    put_on_record(ledger, begun, secret=SECRET)
    ledger.take(MadeWorker("worker:1", SECRET).receipts([receipt("ev-1")]))
    going = begun._replace(stage="going", lives=("0" * 32, "1" * 32), at=START_MS + 1)
    put_on_record(ledger, going, secret=SECRET)
    ended = begun._replace(stage="ended", at=START_MS + DAY_MS, result="done")
    put_on_record(ledger, going._replace(stage="part"), ended, secret=SECRET)
    other = made_act(2, name="replayed", integration="press", at=START_MS + 2 * DAY_MS)
    put_on_record(ledger, other, secret=SECRET)


def _lines(ledger: LedgerFile, selection: ActSelection = ALL) -> Lines:
    with ledger.transaction() as connection:
        return list(export_acts(connection, selection, 5, SECRET))


def _stages(lines: Lines) -> list[str]:
    rows = [row for line in lines[:-1] for row in line.get("rows", ())]
    return [read_act(row["row"].encode()).stage for row in rows]


def _codes(lines: Lines) -> list[FindingCode]:
    return [one.code for one in verify_file(map(orjson.dumps, lines), Keyring([SECRET]))[1]]


@pytest.mark.parametrize(
    ("selection", "stages"),
    [
        (ALL, ["begun", "going", "part", "ended", "begun"]),
        (ActSelection("press", None, None), ["begun"]),
        (ActSelection(None, None, START_MS + 1), ["begun", "going", "part", "ended"]),
        (
            ActSelection("shop", START_MS + DAY_MS, START_MS + DAY_MS + 1),
            ["begun", "going", "part", "ended"],
        ),
        (ActSelection(None, START_MS + 2, START_MS + 3), []),
    ],
)
def test_a_file_has_whole_acts_with_all_of_their_chains(
    tmp_path: Path, selection: ActSelection, stages: list[str]
) -> None:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger)
        lines = _lines(ledger, selection)
    assert _stages(lines) == stages
    assert _codes(lines) == []
    headings = [orjson.loads(line["heading"])["kind"] for line in lines if "heading" in line]
    assert headings.count("begin") == headings.count("trail") == headings.count("end")
    assert "receipts" not in headings, "nobody's events are in it"


def _changed(lines: Lines) -> None:
    row = next(line for line in lines if line.get("rows"))["rows"][0]
    row["row"] = row["row"].replace("night-shift", "day-shift")


def _without_row(lines: Lines) -> None:
    next(line for line in lines if len(line.get("rows", ())) == 2)["rows"].pop(0)
    lines[-1]["rows"] -= 1


def _without_message(lines: Lines) -> None:
    lines.remove(next(line for line in lines if line.get("rows")))
    lines[-1]["messages"] -= 1
    lines[-1]["rows"] -= 1


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_changed, FindingCode.CHANGED),
        (_without_row, FindingCode.CHANGED),
        (_without_message, FindingCode.REMOVED),
    ],
)
def test_a_change_of_the_file_is_found(
    tmp_path: Path, spoil: Callable[[Lines], None], code: FindingCode
) -> None:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger)
        lines = _lines(ledger)
    spoil(lines)
    assert _codes(lines) == [code]


def test_a_file_that_was_cut_short_is_none(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger)
        lines = _lines(ledger)
    for fewer in (lines[:-1], [*lines[:2], *lines[3:]]):
        with pytest.raises(NoExport):
            _codes(fewer)


def test_what_was_changed_in_the_ledger_does_not_verify(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger)
        acts = {"0" * 15 + "1", "0" * 15 + "2"}
        keyring = Keyring([SECRET])
        with ledger.transaction() as connection:
            checked = checked_acts(connection, acts, keyring)
            assert (checked.wrong, checked.messages, checked.is_signed) == ({}, 12, True)
            assert not checked_acts(connection, acts, Keyring()).is_signed
            row = connection.execute(ACTS.select().where(ACTS.c.name == "replayed")).one()
            other = bytes(row.row).replace(b"night-shift", b"day-shift")
            connection.execute(ACTS.update().where(ACTS.c.id == row.id).values(row=other))
            wrong = checked_acts(connection, acts, keyring).wrong
        assert list(wrong.values()) == ["changed"]


def test_acts_around_what_retention_took_before_it_was_read_are_not_called_changed(
    tmp_path: Path,
) -> None:
    chain = Chain("console:7", SECRET)
    said = [chain.message("begin", [], START_MS)]
    acts = [made_act(number, at=START_MS + number) for number in range(8)]
    said += [chain.message("trail", [encode_act(one)], one.at) for one in acts]
    ids = {one.id for one in acts}
    with ledger_file(tmp_path) as ledger:
        ledger.take(*said[:3])
        ledger.offset += 2
        ledger.taking_in.begin(Start(ledger.offset, is_recreated=False, lost=2), START_MS)
        assert ledger.take(*said[5:]) == {}
        ledger.offset += 3
        ledger.taking_in.begin(Start(ledger.offset, is_recreated=False, lost=3), START_MS + 1)
        with ledger.transaction() as connection:
            assert checked_acts(connection, ids, Keyring([SECRET])).wrong == {}
            connection.execute(MESSAGES.delete().where(MESSAGES.c.sequence == 7))
            wrong = checked_acts(connection, ids, Keyring([SECRET])).wrong
        assert list(wrong.values()) == ["removed"]


def test_the_commands_write_and_verify_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = CommandLine(tmp_path, monkeypatch, capsys)
    cli.set("LEDGER_URL", f"sqlite://{tmp_path}/ledger.sqlite")
    cli.set("RECEIPTS_SECRET", SECRET.decode())
    with ledger_file(tmp_path) as ledger:
        _filled(ledger)
    file = tmp_path / "acts.jsonl"
    ran = cli.run("receipts", "export", str(file), "--acts", "--integration", "shop")
    assert (ran.code, ran.out) == (0, "exported 1 act\n"), ran.err
    ran = cli.run("receipts", "verify", str(file))
    assert (ran.code, "no manipulations" in ran.out) == (0, True), ran.err
    file.write_text(file.read_text().replace("night-shift", "day-shift"))
    ran = cli.run("receipts", "verify", str(file), "--json")
    assert ran.code == 1
    assert {one["code"] for one in ran.document["findings"]} == {"changed"}


def test_the_file_and_its_check_say_what_they_can_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger)
        lines = _lines(ledger)
    begun = next(line for line in lines if line.get("rows"))
    chain = orjson.loads(begun["heading"])["chain"]
    left = [line for line in lines if chain not in line.get("heading", "")]
    left[-1] |= {"messages": len(left) - 2, "rows": left[-1]["rows"] - len(begun["rows"])}
    assert _codes(left) == [], "each chain stands for itself"
    cli = CommandLine(tmp_path, monkeypatch, capsys)
    cli.set("RECEIPTS_SECRET", SECRET.decode())
    file = tmp_path / "acts.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, left)))
    ran = cli.run("receipts", "verify", str(file))
    assert ran.code == 0
    assert NOT_TOLD in ran.out, "who reads `no manipulations` reads that, too"
    assert NOT_TOLD in left[0]["how_to_check"]
