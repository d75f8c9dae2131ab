"""Puts kept results into the documents, so that no figure there is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from bench.report import cells, heads, latency_heads, latency_lines, number

DOCUMENTS: Final = (Path("docs/benchmarks.md"),)
_MARKS: Final = ("benchmark", "latency", "scenarios")


def with_results(text: str, results: Mapping[str, Any]) -> str:
    """`text` with its marked places filled in; a document need not have them all."""
    made = {
        "benchmark": _contestants(results),
        "latency": "\n".join(_lines(latency_heads(), latency_lines(results["contestants"]))),
        "scenarios": _scenarios(results),
    }
    for name in _MARKS:
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start in text:
            head, _, rest = text.partition(start)
            _, _, tail = rest.partition(end)
            text = f"{head}{start}\n{made[name]}\n{end}{tail}"
    return text


def caption(results: Mapping[str, Any]) -> str:
    """When, by which command and on what the results were measured."""
    about = results["machine"]
    return (
        f"{results['command']} on {results['made_at'][:10]}, {about['cores']} cores of "
        f"{about['processor']} (load before: {results['load_before']:.1f}), "
        f"Python {about['python']}"
    )


def _contestants(results: Mapping[str, Any]) -> str:
    lines = _lines(heads(), map(cells, results["contestants"]))
    return "\n".join([*lines, "", f"{caption(results)}."])


def _lines(names: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _scenarios(results: Mapping[str, Any]) -> str:
    lines = ["| Scenario | Figures |", "|---|---|"]
    for name, figures in results["scenarios"].items():
        shown = "; ".join(f"{key.replace('_', ' ')} {number(one)}" for key, one in figures.items())
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines)
