"""A file that was exported around what retention took is a true one, and hides nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.unit.cli.conftest import CommandLine
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from tests.unit.ledger.made_acts import made_act
from worker.evidence.act import encode_act
from worker.evidence.exported_file import NoExport, verify_file
from worker.evidence.findings import Finding, FindingCode
from worker.evidence.heading import line_digest
from worker.evidence.lost_messages import lost_between
from worker.evidence.signing import Keyring
from worker.ledger.exporting import Selection, export_file
from worker.ledger.exporting_acts import ActSelection, export_acts
from worker.ledger.lost_before import LOST_BEFORE
from worker.ledger.migrations import STEPS, upgrade
from worker.ledger.records import Start
from worker.ledger.schema import MESSAGES, VERSION

SECRET = b"of the operators"
Lines = list[dict[str, Any]]


def _messages(worker: MadeWorker, count: int) -> list[bytes]:
    return [worker.receipts([receipt()]) for _ in range(count)]


def _lose(ledger: LedgerFile, count: int) -> None:
    """The stream's retention takes so many records before they are read."""
    ledger.offset += count
    start = Start(ledger.offset, is_recreated=False, lost=count)
    ledger.taking_in.begin(start, made_now_ms())


def _filled(ledger: LedgerFile, secret: bytes) -> None:
    """Of a chain 0 to 5 were read, and 9 to 12, and all of another."""
    worker, other = MadeWorker("one:1", secret), MadeWorker("two:2", secret)
    ledger.take(other.begin(), worker.begin(), *_messages(worker, 5), *_messages(other, 3))
    _lose(ledger, len(_messages(worker, 3)))
    assert ledger.take(*_messages(worker, 4), *_messages(other, 2)) == {}


def _lines(path: Path, secret: bytes = SECRET) -> Lines:
    with ledger_file(path) as ledger:
        _filled(ledger, secret)
        with ledger.transaction() as connection:
            return list(export_file(connection, Selection(None, None, None), 5, secret))


def _found(lines: Lines, secret: bytes = SECRET) -> list[Finding]:
    return verify_file(map(orjson.dumps, lines), Keyring([secret]))[1]


def _codes(lines: Lines, secret: bytes = SECRET) -> list[FindingCode]:
    return [one.code for one in _found(lines, secret)]


def _sequences(lines: Lines, worker: str = "one:1") -> dict[int, dict[str, Any]]:
    theirs = [one for one in lines if f'"worker":"{worker}"' in one.get("heading", "")]
    return {one["sequence"]: one for one in theirs}


@pytest.mark.parametrize("secret", [SECRET, b""])
def test_what_retention_took_is_a_note_and_no_manipulation(tmp_path: Path, secret: bytes) -> None:
    lines = _lines(tmp_path, secret)
    (found,) = _found(lines, secret)
    assert (found.code, found.sequence, found.detail) == (FindingCode.LOST, 9, "missing: 6 to 8")
    assert not found.code.is_manipulation
    assert [one["sequence"] for one in lines if "lost_before" in one] == [9]


def test_acts_that_retention_took_are_a_note(tmp_path: Path) -> None:
    chain = MadeWorker("console:7", SECRET).chain
    acts = [made_act(number, at=made_now_ms()) for number in range(8)]
    said = [chain.message("begin", [], acts[0].at)]
    said += [chain.message("trail", [encode_act(one)], one.at) for one in acts]
    with ledger_file(tmp_path) as ledger:
        ledger.take(*said[:3])
        _lose(ledger, 2)
        ledger.take(*said[5:])
        with ledger.transaction() as connection:
            lines = list(export_acts(connection, ActSelection(None, None, None), 5, SECRET))
    assert _codes(lines) == [FindingCode.LOST]


def test_what_is_gone_from_the_ledger_otherwise_is_called_removed(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger, SECRET)
        with ledger.transaction() as connection:
            theirs = (MESSAGES.c.chain_id == 2) & MESSAGES.c.sequence.in_((3, 11))
            connection.execute(MESSAGES.delete().where(theirs))
            lines = list(export_file(connection, Selection(None, None, None), 5, SECRET))
    assert [(one.code, one.sequence) for one in _found(lines)] == [
        (FindingCode.REMOVED, 4),
        (FindingCode.LOST, 9),
        (FindingCode.REMOVED, 12),
    ]


@pytest.mark.parametrize("is_recreated", [True, False])
def test_what_retention_took_stays_a_note_when_more_is_lost(
    tmp_path: Path, *, is_recreated: bool
) -> None:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger, SECRET)
        if is_recreated:
            ledger.offset = 0
            ledger.taking_in.begin(Start(0, is_recreated=True), made_now_ms() + 1)
        else:
            worker = MadeWorker("three:3", SECRET)
            ledger.take(worker.begin(), *_messages(worker, 1))
            _lose(ledger, len(_messages(worker, 1)))
            assert ledger.take(*_messages(worker, 1)) == {}
        with ledger.transaction() as connection:
            lines = list(export_file(connection, Selection(None, None, None), 5, SECRET))
    lost = [(FindingCode.LOST, "missing: 6 to 8"), (FindingCode.LOST, "missing: 2")]
    found = sorted(_found(lines), key=lambda one: one.worker)
    assert [(one.code, one.detail) for one in found] == (lost[:1] if is_recreated else lost)


def test_what_retention_took_is_a_note_in_a_ledger_of_an_older_version(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger, SECRET)
        with ledger.transaction() as connection:
            LOST_BEFORE.drop(connection)
            connection.execute(VERSION.update().values(version=len(STEPS)))
        upgrade(ledger.database)
        with ledger.transaction() as connection:
            lines = list(export_file(connection, Selection(None, None, None), 5, SECRET))
    assert [(one.code, one.sequence) for one in _found(lines)] == [(FindingCode.LOST, 9)]


def _take_out(lines: Lines, sequence: int) -> None:
    lines.remove(_sequences(lines)[sequence])
    lines[-1]["messages"] -= 1
    lines[-1]["receipts"] -= 1


def _say_lost(lines: Lines, secret: bytes) -> None:
    before, behind = (_sequences(lines)[one]["heading"].encode() for one in (2, 4))
    _sequences(lines)[4]["lost_before"] = lost_between(before, behind, secret)._asdict()


def _unsigned(lines: Lines) -> None:
    _take_out(lines, 3)
    _say_lost(lines, b"")


def _by_another(lines: Lines) -> None:
    _take_out(lines, 3)
    _say_lost(lines, b"another secret")


def _by_a_key_that_is_not_known(lines: Lines) -> None:
    _by_another(lines)
    true = _sequences(lines)[9]["lost_before"]
    _sequences(lines)[4]["lost_before"]["key"] = true["key"]


def _from_another_gap(lines: Lines) -> None:
    _take_out(lines, 3)
    true = _sequences(lines)[9]["lost_before"]
    previous = line_digest(_sequences(lines)[2]["heading"].encode())
    _sequences(lines)[4]["lost_before"] = true | {"previous": previous}


def _before_the_gap(lines: Lines) -> None:
    _take_out(lines, 5)


def _behind_the_gap(lines: Lines) -> None:
    true = _sequences(lines)[9]["lost_before"]
    _take_out(lines, 9)
    _sequences(lines)[10]["lost_before"] = true


@pytest.mark.parametrize(
    "change",
    [
        _unsigned,
        _by_another,
        _by_a_key_that_is_not_known,
        _from_another_gap,
        _before_the_gap,
        _behind_the_gap,
    ],
)
def test_who_takes_a_message_out_can_not_say_that_retention_took_it(
    tmp_path: Path, change: Callable[[Lines], None]
) -> None:
    lines = _lines(tmp_path)
    change(lines)
    assert FindingCode.REMOVED in _codes(lines)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lost_before": 7}, "lost_before is not an object"),
        ({"lost_before": {"previous": "x", "key": "", "mac": ""}}, "previous is not hexadecimal"),
    ],
)
def test_a_line_that_says_it_otherwise_is_none(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    lines = _lines(tmp_path)
    lines[3].update(change)
    with pytest.raises(NoExport, match=f"line 4: {why}"):
        _found(lines)


def test_the_commands_write_and_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = CommandLine(tmp_path, monkeypatch, capsys)
    cli.set("LEDGER_URL", f"sqlite://{tmp_path}/ledger.sqlite")
    cli.set("RECEIPTS_SECRET", SECRET.decode())
    with ledger_file(tmp_path) as ledger:
        _filled(ledger, SECRET)
    file = tmp_path / "receipts.jsonl"
    assert cli.run("receipts", "export", str(file)).code == 0
    ran = cli.run("receipts", "verify", str(file))
    assert (ran.code, "no manipulations" in ran.out) == (0, True), ran.out
    assert "note  lost  chain" in ran.out
    assert "(missing: 6 to 8)" in ran.out


def test_without_the_secret_the_check_says_that_a_gap_is_the_word_of_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _lines(tmp_path)
    _by_another(lines)
    file = tmp_path / "receipts.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    cli = CommandLine(tmp_path, monkeypatch, capsys)
    ran = cli.run("receipts", "verify", str(file))
    assert "(missing: 3; not checked, for want of the chain's secret)" in ran.out
    cli.set("RECEIPTS_SECRET", SECRET.decode())
    ran = cli.run("receipts", "verify", str(file))
    assert (ran.code, "MANIPULATION  removed" in ran.out) == (1, True)
