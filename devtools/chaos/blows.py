"""What strikes nodes, workers, Redis and the ledger, one after the other of each kind; it follows
from a seed.

So at most one node is away at a time, and two of three remain, by which a quorum queue goes on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

What = Literal["kill", "stop", "stall"]


@dataclass(frozen=True)
class Blow:
    """After a pause, `target` of its kind is killed, stopped or stalled, and is back some seconds
    later.
    """

    pause_seconds: float
    what: What
    target: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.what} for {self.seconds:.1f} s"


@dataclass(frozen=True)
class Kind:
    """`targets` of a kind. Its pauses, how long each is away, and how long it may be stalled: pairs
    of least and most seconds.
    """

    name: str
    targets: int
    pause: tuple[float, float]
    away: tuple[float, float]
    stalled: tuple[float, float]


KINDS: Final = (
    Kind("node", 3, (3, 12), (1, 20), (3, 25)),
    # A lease ends in 36 s: some workers wake after that.
    Kind("worker", 3, (1, 6), (0.1, 8), (2, 60)),
    Kind("redis", 1, (5, 20), (0.1, 10), (1, 20)),
    Kind("ledger", 1, (5, 20), (0.1, 10), (1, 20)),
)


class Target(Protocol):
    """What can be struck. All of it may block."""

    def kill(self) -> None: ...
    def stop(self) -> None: ...
    def start(self) -> None: ...
    def stall(self) -> None: ...
    def go_on(self) -> None: ...


def blows(seed: int, kind: Kind) -> Iterator[Blow]:
    """All of a kind, without end."""
    chance = random.Random(f"{seed} {kind.name}")
    while True:
        pause = chance.uniform(*kind.pause)
        what: What = chance.choice(("kill", "kill", "stop", "stall", "stall"))
        least, most = kind.stalled if what == "stall" else kind.away
        seconds = least * (most / least) ** chance.random()  # most are short
        yield Blow(pause, what, chance.randrange(kind.targets), seconds)


async def strike(
    targets: Sequence[Target],
    plan: Iterator[Blow],
    name: str,
    until: float,
    tell: Callable[[str], None],
) -> int:
    """Strike by `plan` until the moment `until` of the monotonic clock, and let the last one come
    back; how often. Raises what a target raises that does not come back.
    """
    struck = 0
    for blow in plan:
        await asyncio.sleep(min(blow.pause_seconds, max(0.0, until - time.monotonic())))
        if time.monotonic() >= until:
            break
        target = targets[blow.target]
        tell(f"{name} {blow.target + 1}: {blow}")
        seconds = min(blow.seconds, max(0.0, until - time.monotonic()))
        if blow.what == "stall":
            await asyncio.to_thread(target.stall)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(target.go_on)
        else:
            await asyncio.to_thread(target.kill if blow.what == "kill" else target.stop)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(target.start)
        tell(f"{name} {blow.target + 1}: is back")
        struck += 1
    return struck
