"""The table of predictions, on the terminal and in docs/scale.md.

`python -m bench.simulate.page` writes it into the page anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.report import number
from bench.simulate.figures import read_figures
from bench.simulate.fleet import Fleet, Prediction, predict

PAGE: Final = Path(__file__).parents[2] / "docs" / "scale.md"
WORKERS: Final = (10, 100, 1_000)
CUSTOMERS: Final = 10_000
_START: Final = "<!-- predictions -->"
_END: Final = "<!-- /predictions -->"


def lines(predictions: Sequence[Prediction]) -> list[list[str]]:
    """The rows of the table: what it is, and its value for each fleet."""
    rows: list[list[str]] = []

    def row(what: str, values: Sequence[str | float]) -> None:
        shown = [one if isinstance(one, str) else number(one) for one in values]
        rows.append([what, *shown])

    row("events/s", [one.per_second for one in predictions])
    row("first bound", [one.first_bound for one in predictions])
    for name in predictions[0].bounds:
        row(f"bound by {name}, events/s", [one.bounds[name] for one in predictions])
    row("event queues until the workers are the bound", _counts(predictions, "queues_wanted"))
    row("masters of Redis until then", _counts(predictions, "masters_wanted"))
    row("CPU of a worker, µs/event", [one.cpu_us_per_event for one in predictions])
    row("events in a request", [one.events_per_request for one in predictions])
    row("requests/s to Adobe", [one.requests_per_second for one in predictions])
    row("requests/s for tokens", [one.token_requests_per_second for one in predictions])
    row("p50 at half load, ms", [one.p50_ms for one in predictions])
    row("p99 at half load, ms", [one.p99_ms for one in predictions])
    row("memory of a worker, MB", [one.worker_mb for one in predictions])
    row(
        "memory of all workers, GB",
        [one.worker_mb * one.fleet.workers / 1e3 for one in predictions],
    )
    row("connections to RabbitMQ", _counts(predictions, "broker_connections"))
    row("connections to Redis, at most", _counts(predictions, "redis_connections"))
    row("cores of Redis that are busy", [one.redis_cores for one in predictions])
    row("cores of doors", [one.door_cores for one in predictions])
    row("receipts/s", [one.receipts_per_second for one in predictions])
    return rows


def _counts(predictions: Sequence[Prediction], name: str) -> list[str]:
    return [f"{getattr(one, name):,}" for one in predictions]


def heads(predictions: Sequence[Prediction]) -> list[str]:
    """The columns after the first."""
    return [f"{one.fleet.workers:,} workers" for one in predictions]


def with_predictions(text: str) -> str:
    """`text` with the table of the fleets that are predicted by default in its marked place."""
    figures = read_figures()
    predictions = [predict(figures, Fleet(workers, CUSTOMERS)) for workers in WORKERS]
    columns = ["", *heads(predictions)]
    rows = [columns, ["---", *["---:"] * len(predictions)], *lines(predictions)]
    table = "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in rows)
    head, _, rest = text.partition(_START)
    _, _, tail = rest.partition(_END)
    return f"{head}{_START}\n{table}\n{_END}{tail}"


def write() -> None:
    """Write the table into the page."""
    PAGE.write_text(with_predictions(PAGE.read_text()))


if __name__ == "__main__":
    write()
