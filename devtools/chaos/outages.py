"""The outages of the emulated endpoints: a table, and what each integration meets by a seed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from worker.sandbox.emulator_state import SandboxState
from worker.sandbox.faults import Fault

OUTAGES: Final[dict[str, dict[str, Any]]] = {
    "503": {"kind": "status", "status": 503},
    "500": {"kind": "status", "status": 500},
    "429": {"kind": "status", "status": 429, "retry_after": "2"},
    "hang": {"kind": "hang"},
    "reset": {"kind": "reset"},
    "applied, then reset": {"kind": "reset-after-processing"},
    "partial 207": {"kind": "partial", "status": 503},
    "partial 207 with 500": {"kind": "partial", "status": 500},
    "slow": {"kind": "latency", "latency_ms": 2500},
    "504, applied late": {"kind": "status", "status": 504, "applied_after_ms": 12_000},
    "hang, applied late": {"kind": "hang", "applied_after_ms": 12_000},
}
"""By a name: the fields of the emulator's `Fault`."""
_PAUSE_SECONDS: Final = (4.0, 20.0)
_SECONDS: Final = (2.0, 20.0)
_LONG_SECONDS: Final = (65.0, 80.0)
"""Longer than the retry budget of the fleet: it ends in dead letters."""
_LONG_SHARE: Final = 0.05


@dataclass(frozen=True)
class Outage:
    """After a pause, an endpoint fails in the way `name` of the table for some seconds."""

    pause_seconds: float
    name: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.name} for {self.seconds:.1f} s"


def outages(seed: int, integration: str) -> Iterator[Outage]:
    """All of an integration, without end."""
    chance = random.Random(f"{seed} {integration}")
    names = list(OUTAGES)
    while True:
        pause = chance.uniform(*_PAUSE_SECONDS)
        is_long = chance.random() < _LONG_SHARE
        seconds = chance.uniform(*(_LONG_SECONDS if is_long else _SECONDS))
        yield Outage(pause, chance.choice(names), seconds)


async def fail(
    state: SandboxState,
    integration: str,
    plan: Iterator[Outage],
    until: float,
    tell: Callable[[str], None],
) -> int:
    """Let the endpoint of `integration` fail by `plan` until the moment `until` of the monotonic
    clock; how often.
    """
    failed = 0
    for outage in plan:
        await asyncio.sleep(min(outage.pause_seconds, max(0.0, until - time.monotonic())))
        if time.monotonic() >= until:
            break
        tell(f"endpoint {integration}: {outage}")
        fault = state.inject(target="collection", key=integration, **OUTAGES[outage.name])
        await asyncio.sleep(min(outage.seconds, max(0.0, until - time.monotonic())))
        end(fault)
        failed += 1
    return failed


def end(fault: Fault) -> None:
    """Let no more calls meet it. Those that hang are not released, or they would be carried out
    after their worker has given them up; they end with its line.
    """
    fault.times = 0
