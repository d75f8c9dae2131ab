"""The figures on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_LOADS = ("10%", "50%", "90%")


def show(results: Mapping[str, Any], console: Console) -> None:
    """Print the contestants' table and one table for each scenario."""
    if results["contestants"]:
        console.print(_contestants(results["contestants"]))
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


def _contestants(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Cost, capacity and latency")
    first, *others = heads()
    table.add_column(first)
    for head in others:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*cells(row))
    return table


def heads() -> list[str]:
    """The columns of the contestants' table."""
    loads = [f"p50 / p99 ms at {load}" for load in _LOADS]
    return ["", "CPU µs/event", "x (i)", "x (ii)", "events/s", "peak MB", "batch", *loads]


def cells(row: dict[str, Any]) -> list[str]:
    """One row of it."""
    texts = [
        row["title"],
        number(row["cpu_us_per_event"]),
        number(row.get("cpu_ratio_to_floor")),
        number(row.get("cpu_ratio_to_bare")),
        number(row["events_per_second"]),
        number(row["peak_memory_mb"]),
        number(row["events_per_request"]) if row["events_per_request"] else "-",
    ]
    for load in _LOADS:
        paced = row["latency"].get(load)
        texts.append(f"{number(paced['p50_ms'])} / {number(paced['p99_ms'])}" if paced else "-")
    return texts
