"""`python -m bench [--full]`: everything in one run; a table, bench/results/*.json and a chart."""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench import machine
from bench.arena import Arena, opened
from bench.chart import svg
from bench.contestants import ALL, OURS, PEERS_PYTHON, Contestant, Peer
from bench.documents import DOCUMENTS, caption, with_results
from bench.drain import Drained, drain
from bench.pace import CUSTOMERS, Paced, latencies
from bench.report import number, show
from bench.results import summarise
from bench.scale import FULL, SHORT, Scale
from bench.scenarios import SCENARIOS
from bench.simulate import page as predictions

RESULTS: Final = Path("bench/results")
_BUSY_LOAD: Final = 0.7
_FILE_WIDTH: Final = 140
_ASSUMED_CAPACITY: Final = 2000.0
_BESIDE_A_PRODUCER: Final = 0.8
"""Of the capacity: what can be kept up with while a producer works on the same machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run; no latency at steady load without `with_latency`."""

    scale: Scale
    contestants: Sequence[Contestant]
    scenarios: Sequence[str]
    with_latency: bool
    is_kept: bool = False


def run(arena: Arena, plan: Plan, console: Console) -> dict[str, Any]:
    """The results of the whole plan."""
    drained: dict[str, list[Drained]] = defaultdict(list)
    for repetition in range(plan.scale.repetitions):
        # Interleaved: what disturbs the machine for a while disturbs all of them.
        for one in plan.contestants:
            done = drain(arena, one, plan.scale.drain_seconds)
            drained[one.name].append(done)
            console.log(
                f"run {repetition + 1}, {one.title}: {number(done.cpu_us_per_event)} µs/event, "
                f"{number(done.events_per_second)} events/s"
            )
    rows = summarise(plan.contestants, drained, {})
    paced: dict[str, dict[int, dict[float, Paced]]] = {}
    for one in plan.contestants:
        if plan.with_latency and one.calls_http:
            paced[one.name] = {
                customers: latencies(
                    arena, one.with_customers(customers), plan.scale.rate_seconds, customers
                )
                for customers in CUSTOMERS
            }
            console.log(f"latency of {one.title}")
    sustained = (
        next((row["events_per_second"] for row in rows if row["name"] == OURS.name), 0.0)
        * _BESIDE_A_PRODUCER
    )
    figures = {}
    for name in plan.scenarios:
        figures[name] = SCENARIOS[name](arena, plan.scale, sustained or _ASSUMED_CAPACITY)
        console.log(f"scenario {name}")
    return {"contestants": summarise(plan.contestants, drained, paced), "scenarios": figures}


def parse(arguments: Sequence[str] | None = None) -> Plan:
    """The plan that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="longer runs and larger numbers")
    parser.add_argument(
        "--only", nargs="*", choices=[one.name for one in ALL], help="these contestants"
    )
    parser.add_argument(
        "--scenarios", nargs="*", choices=list(SCENARIOS), help="these scenarios; none to leave out"
    )
    parser.add_argument(
        "--keep", action="store_true", help="put the results where the docs find them"
    )
    parser.add_argument("--no-latency", action="store_true", help="cost and capacity only")
    given = parser.parse_args(arguments)
    return Plan(
        FULL if given.full else SHORT,
        ALL if given.only is None else [one for one in ALL if one.name in given.only],
        list(SCENARIOS) if given.scenarios is None else given.scenarios,
        not given.no_latency,
        given.keep,
    )


def main() -> None:
    """Run it, and write the results down."""
    plan = parse()
    console = Console(log_path=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    has_peers = (
        any(isinstance(one, Peer) for one in plan.contestants) or "latency" in plan.scenarios
    )
    if has_peers and not PEERS_PYTHON.exists():
        raise SystemExit("the peers are not installed: `make bench` does it")
    if (load := machine.load()) > _BUSY_LOAD:
        console.log(f"[yellow]the machine is busy (load {load:.1f}): trust the ratios less")
    began = time.monotonic()
    about: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "make bench-full" if plan.scale is FULL else "make bench",
        "load_before": load,
        "machine": machine.describe(),
    }
    with opened() as arena:
        results = about | run(arena, plan, console)
    results["seconds"] = round(time.monotonic() - began)
    show(results, console)
    _write(results, console, is_kept=plan.is_kept)


def _write(results: dict[str, Any], console: Console, *, is_kept: bool) -> None:
    RESULTS.mkdir(exist_ok=True)
    made_at = results["made_at"].replace(":", "")[:17]
    names = [(f"{made_at}.json", f"{made_at}.svg")]
    if is_kept:
        names.append(("latest.json", "chart.svg"))
    for figures, chart in names:
        (RESULTS / figures).write_text(json.dumps(results, indent=2) + "\n")
        if any("cpu_ratio_to_floor" in row for row in results["contestants"]):
            (RESULTS / chart).write_text(svg(results["contestants"], caption(results)))
    if is_kept:
        for document in DOCUMENTS:
            document.write_text(with_results(document.read_text(), results))
        predictions.write()
    console.print(f"{RESULTS / names[-1][0]}, after {results['seconds']} s")


if __name__ == "__main__":
    main()
