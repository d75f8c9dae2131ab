"""How many histories are played, and of which seeds: by `make soak`, and fewer by `make test`."""

from __future__ import annotations

import os
import random

AT_ONCE = 100
_HISTORIES = os.environ.get("SOAK_HISTORIES")
_SEED = os.environ.get("SOAK_SEED")


def how_many(usually: int) -> int:
    """Of each kind; `make soak` asks for 1,000."""
    return int(_HISTORIES or usually)


def batches(usually: int) -> range:
    """Numbers of the batches, each of which is a test, of 100 histories at most."""
    return range(max(1, -(-how_many(usually) // AT_ONCE)))


def seed_of(batch: int) -> int:
    """By chance, or for the first batch as `SOAK_SEED` says, and one higher for each other."""
    return batch + (int(_SEED) if _SEED else random.randrange(10**9))
