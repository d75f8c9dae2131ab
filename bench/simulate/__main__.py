"""`python -m bench.simulate`: what fleets of 10, 100 and 1,000 workers would do, and why."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.report import number
from bench.simulate.figures import Figure, read_figures
from bench.simulate.fleet import Fleet, Prediction, predict
from bench.simulate.page import CUSTOMERS, WORKERS, heads, lines
from worker.counting import counted

_FILE_WIDTH: Final = 120


def parse(arguments: Sequence[str] | None = None) -> tuple[list[Fleet], dict[str, Figure]]:
    """The fleets that the command line asks for, and the figures. Exits with 2 for what is none."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.add_argument("--workers", type=_count, nargs="+", default=WORKERS)
    parser.add_argument("--customers", type=_count, default=CUSTOMERS)
    parser.add_argument("--queues", type=_count, default=1, help="event queues")
    parser.add_argument("--masters", type=_count, default=1, help="of Redis, or of its cluster")
    parser.add_argument("--largest-share", type=_share, help="of all events, of one customer")
    parser.add_argument("--no-receipts", action="store_true", help="with receipts off")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--figure",
        type=_figure,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one of your own machines, by its name in bench/simulate/figures.json",
    )
    given = parser.parse_args(arguments)
    figures = read_figures()
    for name, value in given.figure:
        if name not in figures:
            parser.error(f"no figure has the name {name}; see bench/simulate/figures.json")
        figures[name] = replace(figures[name], value=value, source="--figure")
    fleets = [
        Fleet(
            workers,
            given.customers,
            given.queues,
            given.masters,
            given.largest_share,
            not given.no_receipts,
            given.seed,
        )
        for workers in given.workers
    ]
    return fleets, figures


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return count


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError("must be above 0, and 1 at most")
    return share


def _figure(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    return name, float(value)


def show(
    predictions: Sequence[Prediction], figures: Mapping[str, Figure], console: Console
) -> None:
    """Print the predictions, and the figures that they rest on."""
    fleet = predictions[0].fleet
    queues, masters = counted(fleet.queues, "event queue"), counted(fleet.masters, "Redis master")
    table = Table("", title=f"{counted(fleet.customers, 'customer')}, {queues}, {masters}")
    for head in heads(predictions):
        table.add_column(head, justify="right")
    for cells in lines(predictions):
        table.add_row(*cells)
    console.print(table)
    console.print("It rests on these figures:")
    for name, figure in figures.items():
        console.print(
            f"  {name}: {number(figure.value)} {figure.unit}, {figure.says}", soft_wrap=True
        )
        console.print(f"      from {figure.source}", soft_wrap=True, style="dim")


def main() -> None:
    """Predict and print."""
    fleets, figures = parse()
    console = Console(log_path=False, highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    show([predict(figures, fleet) for fleet in fleets], figures, console)


if __name__ == "__main__":
    main()
