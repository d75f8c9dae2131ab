"""The page of the receipts names every field, finding and metric, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

from prometheus_client import CollectorRegistry

from worker.evidence.findings import FindingCode
from worker.evidence.receipt import Receipt
from worker.observability.receipt_metrics import ReceiptMetrics

PAGE = (Path(__file__).parents[3] / "docs/receipts.md").read_text()


def _rows(heading: str) -> dict[str, list[str]]:
    """The cells of the table under `heading`, by each code in their first one."""
    section = re.split(r"^## ", PAGE.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.M)[0]
    rows: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows |= dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), cells)
    return rows


def test_every_field_of_a_receipt_is_explained() -> None:
    assert set(_rows("What a receipt says")) == set(Receipt._fields)


def test_every_finding_is_explained_and_whether_it_is_a_manipulation() -> None:
    rows = _rows("What it proves, and what not")
    assert set(rows) == set(FindingCode)
    for code in FindingCode:
        assert rows[code][1] == ("yes" if code.is_manipulation else "no"), code


def test_every_metric_is_listed() -> None:
    unreceipted = SimpleNamespace(by_integration={"": 1, "shop": 2})
    writer = SimpleNamespace(written=1, waiting=2, away_since=None, unreceipted=unreceipted)
    registry = CollectorRegistry()
    ReceiptMetrics(writer, registry)
    metrics = {
        one.name + ("_total" if one.type == "counter" else ""): one.type
        for one in registry.collect()
    }
    assert {name: cells[1] for name, cells in _rows("Metrics").items()} == metrics
    assert registry.get_sample_value("consent_unreceipted_total", {"integration": "none"}) == 1
