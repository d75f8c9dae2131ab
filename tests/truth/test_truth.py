"""The truth: whatever happens on the way, Adobe ends with each user's newest choice, and every
event has an end that is counted once.
"""

from __future__ import annotations

import pytest

from tests.truth.batches import AT_ONCE, batches, how_many, seed_of
from tests.truth.fleet import Plan
from tests.truth.histories import make_history
from tests.truth.playing import played

HISTORIES = 200


def play(test: str, batch: int, workers: int, broker_url: str, state_url: str) -> None:
    """AssertionError with the histories that ended wrong, and all that happened in them."""
    seed, count = seed_of(batch), min(AT_ONCE, how_many(HISTORIES))
    histories = [make_history(seed * 10_000 + number) for number in range(count)]
    plan = Plan.draw(seed, histories, workers)
    wrong = played(plan, broker_url, state_url)
    again = f"SOAK_SEED={seed} SOAK_HISTORIES={count} pytest tests/truth -k {test}"
    assert not wrong, "\n".join([str(plan), *wrong.values(), f"\nAgain: {again}"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch", batches(HISTORIES))
def test_workers_that_share_redis(broker_url: str, redis_url: str, batch: int) -> None:
    play("share_redis", batch, 3, broker_url, redis_url)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch", batches(HISTORIES))
def test_one_worker_with_its_state_in_memory(broker_url: str, batch: int) -> None:
    play("in_memory", batch, 1, broker_url, "memory:")
