"""The HTTP port of a ledger: its health and its metrics."""

from __future__ import annotations

from worker.evidence.findings import FindingCode
from worker.ledger.reading_report import ReadingReport
from worker.ledger.stream_findings import StreamFinding
from worker.observability.http_server import ObservabilityServer
from worker.observability.ledger_metrics import LedgerMetrics


def ledger_server(report: ReadingReport) -> ObservabilityServer:
    """The HTTP server of a ledger, which tells what `report` says; not started yet."""
    kinds = (one.value for group in (FindingCode, StreamFinding) for one in group)
    return ObservabilityServer(
        LedgerMetrics(report, kinds), lambda: report.problems, lambda: [], lambda: None
    )
