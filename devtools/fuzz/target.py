"""What is fuzzed, and the cases of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from zlib import crc32

Case = Any
"""A Python literal, as `repr` writes it and `ast.literal_eval` reads it."""


@dataclass(frozen=True, slots=True)
class Target:
    """`check` raises for a case that shows a fault. `share` is how many cases the target gets, in
    relation to the others.
    """

    name: str
    make: Callable[[Random], Case]
    check: Callable[[Case], None]
    share: int = 10

    def case(self, seed: int, number: int) -> Case:
        """The case with that `number`, the same for one seed in any process."""
        return self.make(Random(seed << 64 | crc32(self.name.encode()) << 32 | number))
