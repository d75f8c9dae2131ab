"""What is fuzzed, and the cases of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from zlib import crc32

Case = Any
"""A Python literal, as `repr` writes it and `ast.literal_eval` reads it."""


MOST_SECONDS: Final = 0.05
"""Of CPU that one case may take in a worker: for so long all other customers wait."""


@dataclass(frozen=True, slots=True)
class Target:
    """`check` raises for a case that shows a fault. `share` is how many cases the target gets, in
    relation to the others; `most_seconds` of CPU is what one case may take.
    """

    name: str
    make: Callable[[Random], Case]
    check: Callable[[Case], None]
    share: int = 10
    most_seconds: float = MOST_SECONDS

    def case(self, seed: int, number: int) -> Case:
        """The case with that `number`, the same for one seed in any process."""
        return self.make(Random(seed << 64 | crc32(self.name.encode()) << 32 | number))
