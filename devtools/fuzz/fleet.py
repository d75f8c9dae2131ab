"""Spreads the cases over processes, and hears what comes of them, also when one dies."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Final, NamedTuple

from devtools.fuzz.attempt import Fault, watched
from devtools.fuzz.run import Finding, Tally, run, silence
from devtools.fuzz.target import Target

_BLOCK: Final = 500
"""Cases between two reports of a process."""
_fork: Final = multiprocessing.get_context("fork")


class Block(NamedTuple):
    """Cases of one target that are run together."""

    target: int
    numbers: range


def blocks(targets: Sequence[Target], cases: int) -> list[Block]:
    """About so many `cases`, each target's share of them; all targets advance together."""
    shares = sum(one.share for one in targets)
    planned: list[tuple[float, Block]] = []
    for index, target in enumerate(targets):
        count = max(1, round(cases * target.share / shares))
        for start in range(0, count, _BLOCK):
            block = Block(index, range(start, min(start + _BLOCK, count)))
            planned.append((start / count, block))
    return [block for _, block in sorted(planned, key=lambda one: (one[0], one[1].target))]


def fuzz(targets: Sequence[Target], seed: int, cases: int, processes: int) -> Iterator[Tally]:
    """Run the cases, and tell what came of each block. A process that dies is a finding itself, of
    the case that it was at; the others go on. Each fault is found once by each process at most.
    """
    planned = blocks(targets, cases)
    workers = [_Worker(targets, seed, planned[at::processes]) for at in range(processes)]
    try:
        running = list(workers)
        while running:
            ready = wait([one.pipe for one in running])
            for worker in [one for one in running if one.pipe in ready]:
                try:
                    tally: Tally | None = worker.pipe.recv()
                except (EOFError, OSError):
                    yield worker.epitaph()
                    tally = None
                if tally is None:
                    running.remove(worker)
                else:
                    yield tally
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process. `at` is where it is, in memory that outlives it: block and number."""

    def __init__(self, targets: Sequence[Target], seed: int, planned: list[Block]) -> None:
        self._targets = targets
        self._seed = seed
        self._planned = planned
        self._at: Any = _fork.RawArray("q", 2)
        self.pipe, theirs = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=self._work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def epitaph(self) -> Tally:
        """What is told of it when it died in the midst of a case."""
        self._process.join()
        block, number = self._at
        name = self._targets[self._planned[block].target].name
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"code {code}"
        sentence = f"the process ended by {how}"
        finding = Finding(name, number, Fault("died", how), sentence, None)
        return Tally(name, 1, 1, 0.0, [finding])

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.pipe.close()

    def _work(self, pipe: Connection) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
        silence()
        known: dict[int, set[Fault]] = {}
        at = self._at

        def about_to(number: int) -> None:
            at[1] = number

        with watched():
            for position, (index, numbers) in enumerate(self._planned):
                at[0] = position
                target = self._targets[index]
                tally = run(target, self._seed, numbers, known.setdefault(index, set()), about_to)
                pipe.send(tally)
        pipe.send(None)
