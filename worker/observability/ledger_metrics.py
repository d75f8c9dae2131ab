"""Metrics of a ledger, read from its report when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Report(Protocol):
    """What the metrics of a ledger ask of its reading."""

    records: int
    unwritten: str
    away: str
    missing: int
    overtaken: int

    @property
    def findings(self) -> Mapping[str, int]:
        """Messages of the stream by what is wrong with them."""
        ...


class LedgerMetrics(Collector):
    """Metrics of a ledger's `report` and of its process; `kinds` are all that it may find."""

    def __init__(self, report: Report, kinds: Iterator[str]) -> None:
        self._report = report
        self._kinds = tuple(kinds)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def collect(self) -> Iterator[Metric]:
        """The metrics of the ledger's report, see `Collector`."""
        report = self._report
        yield CounterMetricFamily(
            "consent_ledger_records",
            "Records of the stream that were taken in since the start.",
            value=report.records,
        )
        findings = CounterMetricFamily(
            "consent_ledger_findings",
            "Messages with which something is wrong, since the start.",
            labels=["kind"],
        )
        for kind in self._kinds:
            findings.add_metric([kind], report.findings.get(kind, 0))
        yield findings
        yield GaugeMetricFamily(
            "consent_ledger_stream_away",
            "1 while the stream of the receipts can't be read.",
            value=int(bool(report.away)),
        )
        yield GaugeMetricFamily(
            "consent_ledger_unwritten",
            "1 while the ledger's file can't be written.",
            value=int(bool(report.unwritten)),
        )
        yield GaugeMetricFamily(
            "consent_ledger_missing_events",
            "Events that do not add up, counted once a minute.",
            value=report.missing,
        )
        yield GaugeMetricFamily(
            "consent_ledger_overtaken_events",
            "Those of them that a door received and that have no outcome, though later ones have.",
            value=report.overtaken,
        )
