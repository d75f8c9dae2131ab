"""`python -m devtools.fuzz`: see the options by `--help`; code 1 where something was found."""

from __future__ import annotations

import argparse
import ast
import os
import secrets
import shlex
import sys
import time
from typing import Final

from devtools.fuzz.attempt import attempt, watched
from devtools.fuzz.fleet import fuzz
from devtools.fuzz.run import Finding, Tally, run, silence
from devtools.fuzz.target import MOST_SECONDS, Target
from devtools.fuzz.targets import TARGETS

_SHOWN_CHARACTERS: Final = 2_000
_PROGRESS_SECONDS: Final = 30.0
_BY_NAME: Final = {one.name: one for one in TARGETS}


def main() -> int:
    """Do what the options say; the exit code."""
    options = _options()
    targets = [_BY_NAME[name] for name in options.target] if options.target else list(TARGETS)
    if options.number is not None or options.case is not None:
        if len(targets) != 1:
            sys.exit("one --target is needed beside --number or --case")
        return _one_case(targets[0], options)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    print(f"{options.cases:,} cases with seed {seed} in {options.processes} processes", flush=True)
    return _all_cases(targets, seed, options.cases, options.processes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devtools.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="in all, over the targets")
    parser.add_argument("--seed", type=int, help="of the cases; another one each time without it")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--target", action="append", choices=sorted(_BY_NAME), metavar="NAME")
    parser.add_argument("--number", type=int, help="that case of a target alone; with --seed")
    parser.add_argument("--case", help="this case of a target alone: a Python literal, or @FILE")
    return parser.parse_args()


def _one_case(target: Target, options: argparse.Namespace) -> int:
    silence()
    with watched():
        if options.case is None:
            numbers = range(options.number, options.number + 1)
            tally = run(target, options.seed or 0, numbers, set())
            for finding in tally.findings:
                _tell(finding, options.seed or 0)
            print(f"{tally.slowest_seconds * 1000:.2f} ms of CPU")
            return 1 if tally.findings else 0
        said = options.case
        if said.startswith("@"):
            with open(said[1:]) as file:  # noqa: PTH123
                said = file.read()
        outcome = attempt(target, ast.literal_eval(said))
    print(outcome.sentence or f"nothing wrong, {outcome.seconds * 1000:.2f} ms of CPU")
    return 1 if outcome.fault else 0


def _all_cases(targets: list[Target], seed: int, cases: int, processes: int) -> int:
    began = told_at = time.monotonic()
    sums = {one.name: Tally(one.name) for one in targets}
    try:
        for tally in fuzz(targets, seed, cases, processes):
            total = sums[tally.target]
            total.cases += tally.cases
            total.faulty += tally.faulty
            total.slowest_seconds = max(total.slowest_seconds, tally.slowest_seconds)
            for finding in tally.findings:
                if finding.fault not in (one.fault for one in total.findings):
                    total.findings.append(finding)
                    _tell(finding, seed)
            if time.monotonic() - told_at >= _PROGRESS_SECONDS:
                told_at = time.monotonic()
                done = sum(one.cases for one in sums.values())
                print(f"{done:,} cases after {told_at - began:.0f} s", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    _tell_sums(list(sums.values()), time.monotonic() - began)
    return 1 if any(one.findings for one in sums.values()) else 0


def _tell(finding: Finding, seed: int) -> None:
    again = f"{sys.executable} -m devtools.fuzz --target {finding.target}"
    literal = repr(finding.case)
    print(f"FOUND in {finding.target}, case {finding.number} of seed {seed}: {finding.sentence}")
    if finding.fault.kind != "died":
        if len(literal) <= _SHOWN_CHARACTERS:
            print(f"  smallest case: {literal}")
            print(f"  run it again:  {again} --case {shlex.quote(literal)}")
        else:
            print(f"  smallest case: {len(literal):,} characters, {literal[:200]} ...")
    print(f"  as it was:     {again} --seed {seed} --number {finding.number}", flush=True)


def _tell_sums(sums: list[Tally], seconds: float) -> None:
    print(f"\n{'target':<18}{'cases':>12}{'faulty':>9}{'slowest, ms of CPU':>20}")
    for one in sums:
        print(
            f"{one.target:<18}{one.cases:>12,}{one.faulty:>9,}{one.slowest_seconds * 1000:>20.2f}"
        )
    cases = sum(one.cases for one in sums)
    kinds = sum(len(one.findings) for one in sums)
    print(
        f"{cases:,} cases in {seconds:.0f} s; {kinds} faults found; "
        f"a case of a worker's may take {MOST_SECONDS * 1000:.0f} ms of CPU"
    )


if __name__ == "__main__":
    sys.exit(main())
