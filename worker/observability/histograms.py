"""Histograms that count the values of a whole request at once.

The client's own costs some 150 steps of the interpreter for each value, which it locks and checks;
these are used in the one thread of the loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Histogram(Collector):
    """A histogram in `registry` with the upper `bounds` of its buckets, rising. It has a series for
    each of the `values` of its `label` from the start, or one alone without a label.
    """

    def __init__(
        self,
        name: str,
        text: str,
        bounds: Sequence[float],
        registry: CollectorRegistry,
        label: str = "",
        values: Sequence[str] = ("",),
    ) -> None:
        self._name, self._text, self._label = name, text, label
        self._bounds = tuple(map(float, bounds))
        self._counts = {value: [0] * (len(self._bounds) + 1) for value in values}
        self._sums = dict.fromkeys(values, 0.0)
        registry.register(self)

    def observe(self, observed: Sequence[float], value: str = "") -> None:
        """Count each value that was `observed` in the series with this `value` of the label."""
        counts, bounds = self._counts[value], self._bounds
        for one in observed:
            counts[bisect_left(bounds, one)] += 1
        self._sums[value] += sum(observed)

    def observe_same(self, observed: float, times: int) -> None:
        """Count the same value so many times, of a histogram without a label."""
        self._counts[""][bisect_left(self._bounds, observed)] += times
        self._sums[""] += observed * times

    def describe(self) -> list[HistogramMetricFamily]:
        """What the histogram will collect, without values."""
        labels = [self._label] if self._label else None
        return [HistogramMetricFamily(self._name, self._text, labels=labels)]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram with what was counted, see `Collector`."""
        (family,) = self.describe()
        bounds = [*map(str, self._bounds), "+Inf"]
        for value, counts in self._counts.items():
            buckets = list(zip(bounds, map(float, accumulate(counts)), strict=True))
            family.add_metric([value] if self._label else [], buckets, self._sums[value])
        yield family
