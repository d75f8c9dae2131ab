"""What the stub writes down of the events that reach it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Final

from bench.events import MARK, now_us

_NUMBERS: Final = 10**7


@dataclass(slots=True)
class _Series:
    """Of one inlet and kind: when each event was due, and how long it took since then."""

    due: array[int] = field(default_factory=lambda: array("q"))
    took: array[int] = field(default_factory=lambda: array("q"))


class Figures:
    """Times are microseconds. Events are told apart by their number; repetitions don't count."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.requests = self.repeated = 0
        self._series: dict[tuple[bytes, bytes], _Series] = {}
        self._seen = {b"t": bytearray(_NUMBERS), b"r": bytearray(_NUMBERS)}
        self._added: array[int] = array("q")
        self._delivered_at: dict[int, int] = {}

    def request(self, inlet: bytes, body: bytes) -> int:
        """A request came; how many messages it has."""
        self.requests += 1
        now = now_us()
        marks = MARK.findall(body)
        for kind, due, number in marks:
            self._arrive(inlet, kind, int(due), int(number), now)
        return len(marks)

    def saw_delivery(self, chunk: bytes) -> None:
        """The broker has sent `chunk` to a worker."""
        now = now_us()
        for kind, _, number in MARK.findall(chunk):
            if kind == b"t":
                self._delivered_at.setdefault(int(number), now)

    def summary(self, kind: bytes, since_us: int, without: bytes) -> dict[str, Any]:
        """Of events of `kind` that were due since then, for all inlets but one; in milliseconds."""
        took = sorted(
            value
            for (inlet, of), series in self._series.items()
            if of == kind and inlet != without
            for value in compress(series.took, (due >= since_us for due in series.due))
        )
        return {
            "events": len(took),
            "requests": self.requests,
            "repeated": self.repeated,
            "p50_ms": _quantile(took, 0.5),
            "p99_ms": _quantile(took, 0.99),
            "p999_ms": _quantile(took, 0.999),
            "added_p50_ms": _quantile(added := sorted(self._added), 0.5),
            "added_p99_ms": _quantile(added, 0.99),
        }

    def arrived(self, kind: bytes, without: bytes) -> int:
        """Different events of `kind` that have come, for all inlets but one."""
        return sum(
            len(series.due)
            for (inlet, of), series in self._series.items()
            if of == kind and inlet != without
        )

    def _arrive(self, inlet: bytes, kind: bytes, due: int, number: int, now: int) -> None:
        seen = self._seen[kind]
        if seen[number]:
            self.repeated += 1
            return
        seen[number] = 1
        series = self._series.get((inlet, kind))
        if series is None:
            series = self._series[(inlet, kind)] = _Series()
        series.due.append(due)
        series.took.append(now - due)
        if self._delivered_at and (delivered := self._delivered_at.pop(number, None)) is not None:
            self._added.append(now - delivered)


def _quantile(values: list[int], share: float) -> float | None:
    """The nearest-rank quantile of sorted microseconds, in milliseconds; None without values."""
    if not values:
        return None
    return values[min(len(values) - 1, int(len(values) * share))] / 1000
