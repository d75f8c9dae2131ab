"""A file for an auditor is verified by itself, and every kind of change to it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from devtools.made_receipts import MadeWorker, receipt, state
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from worker.evidence.exported_file import NoExport, verify_file
from worker.evidence.findings import FindingCode
from worker.evidence.receipt import Receipt, encode_receipt
from worker.evidence.signing import Keyring
from worker.ledger.exporting import Selection, export_file, life_selection
from worker.ledger.stored_receipts import key_of_life
from worker.ledger.stories import find_life

SECRET = b"of the operators"
Lines = list[dict[str, Any]]


def _filled(ledger: LedgerFile) -> list[Receipt]:
    """Two workers that have each some messages; the life of one event is in both."""
    receipts = [receipt(f"ev-{n}", at=1_764_000_000_000 + n) for n in range(6)]
    first = receipts[2]._replace(outcome="retried", reason="timeout", due_at=1, at=1)
    one, other = MadeWorker("one:1", SECRET), MadeWorker("two:2", SECRET)
    ledger.take(
        one.begin(),
        one.receipts([receipts[0], first]),
        other.begin(),
        one.state(state()),
        one.receipts(receipts[1:2]),
        other.receipts(receipts[2:5]),
        other.receipts(receipts[5:]),
        one.end(),
    )
    return receipts


def _whole(ledger: LedgerFile) -> Lines:
    with ledger.transaction() as connection:
        return list(export_file(connection, Selection(None, None, None), 5, SECRET))


def _verified(lines: Lines, secret: bytes = SECRET) -> list[FindingCode]:
    keyring = Keyring([secret])
    return [one.code for one in verify_file(map(orjson.dumps, lines), keyring)[1]]


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    with ledger_file(tmp_path) as ledger:
        _filled(ledger)
        return _whole(ledger)


def test_a_file_as_it_was_written_has_no_finding(lines: Lines) -> None:
    assert _verified(lines) == []
    verification, _ = verify_file(map(orjson.dumps, lines), Keyring())
    assert (verification.messages, verification.rows, verification.chains) == (8, 7, 2)


def test_the_file_of_one_life_has_its_receipts_and_no_others(tmp_path: Path) -> None:
    with ledger_file(tmp_path) as ledger:
        receipts = _filled(ledger)
        key = key_of_life(receipts[2])
        with ledger.transaction() as connection:
            story = find_life(connection, key)
            assert story is not None
            selection = life_selection(connection, key, story.steps)
            lines = list(export_file(connection, selection, 5, SECRET))
    assert _verified(lines) == []
    rows = [
        orjson.loads(row["row"]) for line in lines for row in line.get("rows", ()) if "row" in row
    ]
    assert [(row["event"], row["outcome"]) for row in rows] == [
        ("ev-2", "retried"),
        ("ev-2", "delivered"),
    ]
    assert lines[0]["asked_for"] == {"life": key.hex()}
    assert lines[-1] == {"messages": 5, "receipts": 2}


def _change_row(lines: Lines) -> None:
    row = lines[2]["rows"][0]
    row["row"] = row["row"].replace('"delivered"', '"skipped"')


def _change_digest(lines: Lines) -> None:
    row = lines[2]["rows"][0]
    del row["row"]
    row["row_digest"] = "0" * 64
    lines[-1]["receipts"] -= 1


def _take_message(lines: Lines) -> None:
    del lines[4]
    lines[-1]["messages"] -= 1


def _swap(lines: Lines) -> None:
    lines[6], lines[7] = lines[7], lines[6]


def _change_heading(lines: Lines) -> None:
    lines[5]["heading"] = lines[5]["heading"].replace('"at":', '"at":1')


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (_change_row, FindingCode.CHANGED),
        (_change_digest, FindingCode.CHANGED),
        (_take_message, FindingCode.REMOVED),
        (_swap, FindingCode.REORDERED),
        (_change_heading, FindingCode.FORGED),
    ],
)
def test_a_change_is_found(
    lines: Lines, change: Callable[[Lines], None], finding: FindingCode
) -> None:
    change(lines)
    assert finding in _verified(lines)


@pytest.mark.parametrize(
    ("written", "unknown"),
    [
        (b'"outcome":"delivered"', b'"outcome":"postponed"'),
        (b'"choice":"given"', b'"choice":"renewed"'),
        (b'"organization":"org-shop"', b'"organization":"%b"' % (b"o" * 300)),
    ],
)
def test_a_row_that_this_version_can_not_read_is_not_called_changed(
    tmp_path: Path, written: bytes, unknown: bytes
) -> None:
    known, other = receipt("ev-1"), encode_receipt(receipt("ev-2")).replace(written, unknown)
    chain = MadeWorker("one:1", SECRET).chain
    with ledger_file(tmp_path) as ledger:
        ledger.take(chain.message("begin", [], 0))
        rows = [other, encode_receipt(known), other]
        assert ledger.take(chain.message("receipts", rows, 1)) == {"unreadable": 2}
        assert ledger.take(chain.message("receipts", [other], 2)) == {"unreadable": 1}
        lines = _whole(ledger)
    assert _verified(lines) == []
    assert [[*one] for one in lines[2]["rows"]] == [
        ["place", "row_digest", "blanked"],
        ["place", "row"],
        ["place", "row_digest", "blanked"],
    ]
    lines[2]["rows"].pop(0)
    assert _verified(lines) == [FindingCode.CHANGED]


def test_who_does_not_know_the_secret_makes_no_file(lines: Lines) -> None:
    assert _verified(lines, b"another one") == [], "nothing says that it should be signed by it"
    verification, _ = verify_file(map(orjson.dumps, lines), Keyring([b"another one"]))
    assert verification.unchecked == 8


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: lines.pop(), "cut short"),
        (lambda lines: lines.pop(4), "totals are not those"),
        (lambda lines: lines.pop(0), "no file that"),
        (lambda lines: lines.append({}), "more after the totals"),
        (lambda lines: lines[2]["rows"].append(7), "not an object"),
        (lambda lines: lines[2]["rows"].append({}), "neither its text nor its digest"),
        (lambda lines: lines[2]["rows"].append({"row_digest": "z" * 64}), "neither its text"),
        (lambda lines: lines[2].update(rows=7), "not a list"),
        (lambda lines: lines[2].update(heading="{}"), "another version"),
        (lambda lines: lines[2].update(offset="x"), "offset"),
        (lambda lines: lines.clear(), "cut short"),
    ],
)
def test_what_is_no_whole_file_is_refused(
    lines: Lines, change: Callable[[Lines], object], why: str
) -> None:
    change(lines)
    with pytest.raises(NoExport, match=why):
        _verified(lines)


def test_a_line_that_is_no_json_is_refused() -> None:
    with pytest.raises(NoExport, match="line 1: a line is not JSON"):
        verify_file([b"x"], Keyring())
