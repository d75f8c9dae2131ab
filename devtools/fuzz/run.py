"""Runs cases of one target in this process, and makes the findings small."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from devtools.fuzz.attempt import Fault, attempt
from devtools.fuzz.reduce import reduced
from devtools.fuzz.target import Case, Target


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, the number of the case that showed it, and the smallest case that still does."""

    target: str
    number: int
    fault: Fault
    sentence: str
    case: Case


@dataclass(slots=True)
class Tally:
    """What came of cases of one target: the slowest of them too, in CPU seconds."""

    target: str
    cases: int = 0
    faulty: int = 0
    slowest_seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def run(
    target: Target,
    seed: int,
    numbers: range,
    known: set[Fault],
    about_to: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Check the cases with these `numbers`. A fault that is not `known` yet becomes a finding, and
    is known from then on. `about_to` is told of each number before its case is checked.

    Garbage is collected between the cases and counts for none of them: what it costs depends on
    what others have left. To be called within `watched`.
    """
    tally = Tally(target.name)
    gc.collect()
    gc.disable()
    try:
        for number in numbers:
            about_to(number)
            case = target.case(seed, number)
            outcome = attempt(target, case)
            tally.slowest_seconds = max(tally.slowest_seconds, outcome.seconds)
            tally.cases += 1
            if outcome.fault is not None:
                tally.faulty += 1
                if outcome.fault not in known:
                    known.add(outcome.fault)
                    tally.findings.append(_finding(target, number, outcome.fault, case))
    finally:
        gc.enable()
    return tally


def silence() -> None:
    """Keep the product's log out: a line for each of a million cases tells nothing."""
    logging.disable(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=False,
    )


def _finding(target: Target, number: int, fault: Fault, case: Case) -> Finding:
    smallest = reduced(case, lambda smaller: attempt(target, smaller).fault == fault)
    return Finding(target.name, number, fault, attempt(target, smallest).sentence, smallest)
