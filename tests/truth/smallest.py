"""Makes a history that went wrong as small as it can be found to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.truth.fleet import Plan
from tests.truth.soak_histories import SoakHistory

Steps = tuple[int, ...]
Play = Callable[[Plan], dict[str, str]]
"""What went wrong of a plan, by organization."""

COPIES = 3
"""Of each that are played at once: who comes first is different each time."""


@dataclass(frozen=True)
class Wrong:
    """These steps of a history, by their numbers from 0, go wrong alone; `story` is how."""

    history: SoakHistory
    steps: Steps
    story: str


def smallest(histories: Sequence[SoakHistory], play: Play, seconds: float) -> Wrong | None:
    """The fewest steps that are found to go wrong of one of the `histories`, alone in a fleet that
    nothing befalls. None if even all of them go well then. After `seconds` no more is left out.
    """
    until = time.monotonic() + seconds
    whole = [(one, tuple(range(len(one.steps)))) for one in histories]
    found = _first_wrong(sorted(whole, key=lambda one: len(one[1])), play)
    size = len(found.steps) // 2 if found else 0
    while found is not None and size and time.monotonic() < until:
        left = [(found.history, steps) for steps in _without_some(found.steps, size)]
        smaller = _first_wrong(left, play)
        if smaller is None:
            size //= 2
        else:
            found, size = smaller, min(size, len(smaller.steps) // 2)
    return found


def _without_some(steps: Steps, size: int) -> list[Steps]:
    starts = range(0, len(steps), size)
    return [steps[:start] + steps[start + size :] for start in starts]


def _first_wrong(candidates: Sequence[tuple[SoakHistory, Steps]], play: Play) -> Wrong | None:
    """All are played at once, each a customer of its own."""
    names = {
        f"{history.seed}.{number}.{copy}": (history, steps)
        for number, (history, steps) in enumerate(candidates)
        for copy in range(COPIES)
    }
    copies = [history.only(steps, name) for name, (history, steps) in names.items()]
    wrong = play(Plan(0, 1, 1000, [], copies))
    for name, (history, steps) in names.items():
        if f"org-{name}" in wrong:
            return Wrong(history, steps, wrong[f"org-{name}"])
    return None
