"""Durations by one label, for Prometheus.

The client's own histogram costs some 150 steps of the interpreter for each value, which it locks
and checks; this counts the values of a whole request at once, in the one thread of the loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Durations(Collector):
    """A histogram in `registry` with the upper `bounds` of its buckets, in seconds, rising."""

    def __init__(
        self,
        name: str,
        text: str,
        label: str,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._text, self._label = name, text, label
        self._bounds = tuple(map(float, bounds))
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        registry.register(self)

    def observe(self, value: str, seconds: Sequence[float]) -> None:
        """Count each of `seconds` under this `value` of the label."""
        counts = self._counts.get(value)
        if counts is None:
            counts = self._counts[value] = [0] * (len(self._bounds) + 1)
            self._sums[value] = 0.0
        bounds = self._bounds
        for one in seconds:
            counts[bisect_left(bounds, one)] += 1
        self._sums[value] += sum(seconds)

    def describe(self) -> list[HistogramMetricFamily]:
        """What it will collect, without values."""
        return [HistogramMetricFamily(self._name, self._text, labels=[self._label])]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """See `Collector`."""
        (family,) = self.describe()
        bounds = [*map(str, self._bounds), "+Inf"]
        for value, counts in self._counts.items():
            buckets = list(zip(bounds, map(float, accumulate(counts)), strict=True))
            family.add_metric([value], buckets, self._sums[value])
        yield family
