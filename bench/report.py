"""The figures on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.pace import CUSTOMERS, RATES


def show(results: Mapping[str, Any], console: Console) -> None:
    """Print the contestants' table and one table for each scenario."""
    if results["contestants"]:
        rows = results["contestants"]
        console.print(_table("Cost and capacity", heads(), map(cells, rows)))
        if any(row["latency"] for row in rows):
            console.print(_table("Latency", latency_heads(), latency_lines(rows)))
    for name, figures in results["scenarios"].items():
        table = Table(title=name, show_header=False)
        for key, value in figures.items():
            table.add_row(key.replace("_", " "), number(value))
        console.print(table)


def number(value: float | None) -> str:
    """With about three digits that count."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _table(title: str, columns: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title)
    first, *others = columns
    table.add_column(first)
    for head in others:
        table.add_column(head, justify="right")
    for line in lines:
        table.add_row(*line)
    return table


def heads() -> list[str]:
    """The columns of the contestants' table."""
    return ["", "CPU µs/event", "x (i)", "x (ii)", "events/s", "peak MB", "batch"]


def cells(row: dict[str, Any]) -> list[str]:
    """One row of it."""
    return [
        row["title"],
        number(row["cpu_us_per_event"]),
        number(row.get("cpu_ratio_to_floor")),
        number(row.get("cpu_ratio_to_bare")),
        number(row["events_per_second"]),
        number(row["peak_memory_mb"]),
        number(row["events_per_request"]) if row["events_per_request"] else "-",
    ]


def latency_heads() -> list[str]:
    """The columns of the table of latencies."""
    return ["p50 / p99 / p99.9 ms", "customers", *(f"{rate:,.0f}/s" for rate in RATES)]


def latency_lines(rows: Iterable[dict[str, Any]]) -> Iterator[list[str]]:
    """Its rows; a dash is where a contestant does not keep up."""
    for customers in CUSTOMERS:
        for row in rows:
            by_rate = row["latency"].get(str(customers))
            if by_rate is not None:
                points = (by_rate.get(f"{rate:g}") for rate in RATES)
                yield [row["title"], f"{customers:,}", *map(_point, points)]


def _point(paced: Mapping[str, float] | None) -> str:
    if paced is None:
        return "-"
    return " / ".join(number(paced[f"{one}_ms"]) for one in ("p50", "p99", "p999"))
