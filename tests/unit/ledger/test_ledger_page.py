"""The page of the ledger names every metric and finding of its own, as the program has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from worker.ledger.reading_report import ReadingReport
from worker.ledger.stream_findings import SENTENCES, StreamFinding
from worker.observability.ledger_metrics import LedgerMetrics

PAGE = (Path(__file__).parents[3] / "docs/ledger.md").read_text()


def _rows() -> Iterator[tuple[str, list[str]]]:
    """The cells of all tables, by the code in the first one."""
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            yield cells[0].strip("`"), cells


def test_every_metric_is_listed() -> None:
    listed = {name: cells[1] for name, cells in _rows() if name.startswith("consent_")}
    metrics = {
        one.name + ("_total" if one.type == "counter" else ""): one.type
        for one in LedgerMetrics(ReadingReport(), iter(SENTENCES)).registry.collect()
        if one.name.startswith("consent_")
    }
    assert listed == metrics


def test_every_finding_has_a_series_from_the_start() -> None:
    registry = LedgerMetrics(ReadingReport(), iter(SENTENCES)).registry
    for kind in SENTENCES:
        assert registry.get_sample_value("consent_ledger_findings_total", {"kind": kind}) == 0


def test_the_findings_about_the_stream_are_told_by_their_sentences() -> None:
    rows = dict(_rows())
    assert {one.value: rows[one.value][1] for one in StreamFinding} == {
        one.value: one.sentence for one in StreamFinding
    }
