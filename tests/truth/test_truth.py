"""The truth: whatever happens on the way, Adobe ends with each user's newest choice, and every
event has an end that is counted once.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.truth.fleet import Fleet, Plan
from tests.truth.mortal import MortalLoop

AT_ONCE = 100
HISTORIES = int(os.environ.get("CONSENT_WORKER_TEST_HISTORIES", "200"))
"""How many each of the tests plays; `make soak` asks for thousands."""
SEED = os.environ.get("CONSENT_WORKER_TEST_SEED")
"""Plays the histories of this seed alone, as a failure names it."""

# Not shrunk: a plan takes seconds, and its outcome depends on who comes first.
PLAYS = settings(
    max_examples=max(1, HISTORIES // AT_ONCE),
    deadline=None,
    phases=[Phase.generate],
    database=None,
    suppress_health_check=list(HealthCheck),
)
SEEDS = st.just(int(SEED)) if SEED else st.integers(0, 2**48)


def play(plan: Plan, *services: Any) -> None:
    """AssertionError with the histories that ended wrong, and all that happened in them."""

    async def run() -> list[str]:
        async with Fleet(plan, *services, f"t{uuid.uuid4().hex[:8]}") as fleet:
            await fleet.run()
            return await fleet.problems()

    with asyncio.Runner(loop_factory=MortalLoop) as runner:
        problems = runner.run(run())
    assert not problems, "\n".join(
        [*problems, f"\nAgain: CONSENT_WORKER_TEST_SEED={plan.seed} pytest tests/truth"]
    )


@pytest.mark.timeout(HISTORIES + 120)
@PLAYS
@given(seed=SEEDS)
def test_workers_that_share_redis(broker_url: str, redis_url: str, seed: int) -> None:
    play(Plan.draw(seed, AT_ONCE, workers=3), broker_url, redis_url)


@pytest.mark.timeout(HISTORIES + 120)
@PLAYS
@given(seed=SEEDS)
def test_one_worker_with_its_state_in_memory(broker_url: str, seed: int) -> None:
    play(Plan.draw(seed, AT_ONCE, workers=1), broker_url, None)
