"""The measured figures that a prediction rests on, each with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FIGURES: Final = Path(__file__).with_name("figures.json")
KEPT: Final = Path(__file__).parents[1] / "results" / "latest.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """`says` what was measured, and `source` where it is to be found."""

    value: float
    unit: str
    says: str
    source: str


def read_figures(figures: Path = FIGURES, kept: Path = KEPT) -> dict[str, Figure]:
    """By name. A figure has a value of its own, or the place of one in the results that
    `make bench` has kept last. Raises LookupError for a place that these do not have.
    """
    results = json.loads(kept.read_text())
    return {
        name: Figure(
            float(one["value"] if "value" in one else kept_value(results, one["kept"])),
            one["unit"],
            one["says"],
            one["source"],
        )
        for name, one in json.loads(figures.read_text()).items()
    }


def kept_value(results: Mapping[str, Any], place: str) -> float:
    """The value at `place`, whose parts are joined by dots; a row of a list goes by its name.
    Raises LookupError.
    """
    found: Any = results
    for part in place.split("."):
        if isinstance(found, list):
            found = {row["name"]: row for row in found}
        if part not in found:
            raise LookupError(f"the kept results have no {place}: run `make bench` with --keep")
        found = found[part]
    return float(found)
