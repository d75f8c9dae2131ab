"""Counters and gauges whose series are there before anything has happened.

A counter that comes into being with its first event is 1 when it is scraped for the first time, and
Prometheus sees no increase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, cast

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric, Sample
from prometheus_client.registry import Collector


class _Family(Collector):
    """One metric of `registry`, of which `collect` tells all series."""

    def __init__(
        self,
        kind: Literal["counter", "gauge"],
        name: str,
        text: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
    ) -> None:
        self._kind, self._text, self._labels = kind, text, tuple(labels)
        self._series = name
        registry.register(self)

    def describe(self) -> list[Metric]:
        """What it will collect, without values."""
        return [Metric(self._series.removesuffix("_total"), self._text, self._kind)]

    def _collected(self, series: Iterable[tuple[Sequence[str], float]]) -> Iterator[Metric]:
        """The metric with these series, each made when it is read: of thousands of integrations
        there are so many that they are written in slices.
        """
        (family,) = self.describe()
        name, labels = self._series, self._labels
        family.samples = cast(
            "list[Sample]",
            (Sample(name, dict(zip(labels, of, strict=True)), value) for of, value in series),
        )
        yield family


class Counts(_Family):
    """A counter with a series for each of `keys`, the values of its labels."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        keys: Iterable[tuple[str, ...]],
        registry: CollectorRegistry,
    ) -> None:
        self._counts: dict[tuple[str, ...], float] = dict.fromkeys(keys, 0)
        super().__init__("counter", name, text, labels, registry)

    def add(self, key: tuple[str, ...], by: int = 1) -> None:
        """Count so many more in the series of `key`."""
        self._counts[key] = self._counts.get(key, 0) + by

    def set(self, key: tuple[str, ...], value: float) -> None:
        """Set the series of `key` to what somebody else has counted."""
        self._counts[key] = value

    def collect(self) -> Iterator[Metric]:
        """The counter with all its series, see `Collector`."""
        return self._collected(list(self._counts.items()))


class CountsByIntegration(_Family):
    """A counter with a series for each known integration, and for each of `values` of a second
    label, if it has one.
    """

    def __init__(
        self,
        name: str,
        text: str,
        registry: CollectorRegistry,
        label: str = "",
        values: Sequence[str] = ("",),
    ) -> None:
        self._values = tuple(values)
        self._counts: dict[str, dict[str, int]] = {}
        labels = ["integration", label] if label else ["integration"]
        super().__init__("counter", name, text, labels, registry)

    def know(self, ids: Iterable[str]) -> None:
        """These integrations have series from now on, and no others: new ones begin with 0."""
        before = self._counts
        self._counts = {one: before.get(one) or dict.fromkeys(self._values, 0) for one in ids}

    def add(self, integration_id: str, value: str = "", by: int = 1) -> bool:
        """Count so many more at an integration; False for one that is not known."""
        counts = self._counts.get(integration_id)
        if counts is None:
            return False
        counts[value] += by
        return True

    def collect(self) -> Iterator[Metric]:
        """The counter with a series for each integration, see `Collector`."""
        has_label = len(self._labels) > 1
        return self._collected(
            ((integration_id, value) if has_label else (integration_id,), number)
            for integration_id, counts in list(self._counts.items())
            for value, number in counts.items()
        )


class AskedByIntegration(_Family):
    """A gauge with a series for each integration of which `ask` tells a value, at a scrape."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self.ask: Callable[[], Iterable[tuple[str, float]]] = tuple
        super().__init__("gauge", name, text, ["integration"], registry)

    def collect(self) -> Iterator[Metric]:
        """The gauge with what `ask` tells of each integration now, see `Collector`."""
        return self._collected(((integration_id,), value) for integration_id, value in self.ask())
