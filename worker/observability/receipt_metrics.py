"""Metrics of the receipts, read from their writer when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Unreceipted(Protocol):
    """Outcomes that were acknowledged without a receipt."""

    @property
    def by_integration(self) -> Mapping[str, int]:
        """Unreceipted outcomes by integration, "" where that is none."""
        ...


class Written(Protocol):
    """What the metrics ask of the writer of receipts."""

    @property
    def written(self) -> int:
        """Receipts that are on record."""
        ...

    @property
    def waiting(self) -> int:
        """Receipts that are not on record yet."""
        ...

    @property
    def away_since(self) -> float | None:
        """Since when receipts are away; None while they are not."""
        ...

    @property
    def unreceipted(self) -> Unreceipted:
        """Outcomes that were acknowledged without a receipt."""
        ...


class ReceiptMetrics(Collector):
    """Metrics of the receipts of `writer`, in `registry`."""

    def __init__(self, writer: Written, registry: CollectorRegistry) -> None:
        self._writer = writer
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The metrics of the receipts, see `Collector`."""
        writer = self._writer
        yield CounterMetricFamily(
            "consent_receipts", "Receipts on record in the stream.", value=writer.written
        )
        yield GaugeMetricFamily(
            "consent_receipts_waiting", "Receipts not on record yet.", value=writer.waiting
        )
        yield GaugeMetricFamily(
            "consent_receipts_away",
            "1 while the broker confirms no receipts, and events are acknowledged without.",
            value=int(writer.away_since is not None),
        )
        unreceipted = CounterMetricFamily(
            "consent_unreceipted",
            "Outcomes that were acknowledged and will have no receipt.",
            labels=["integration"],
        )
        for integration_id, number in writer.unreceipted.by_integration.items():
            unreceipted.add_metric([integration_id or "none"], number)
        yield unreceipted
