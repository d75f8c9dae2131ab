"""A look into Redis, beside the stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import redis.asyncio
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


@pytest.fixture
async def inspector(redis_url: str, namespace: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of the same Redis; the keys of the test's `namespace` are gone after it."""
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    if keys := await client.keys(f"{namespace}:*"):
        await client.delete(*keys)
    await client.aclose()


def play(machine: Callable[[], RuleBasedStateMachine], examples: int) -> None:
    """Play so many random histories of 40 steps, however long each takes."""
    run_state_machine_as_test(
        # Hypothesis calls it and asks no more, though it declares a class.
        machine,  # type: ignore[arg-type]
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
