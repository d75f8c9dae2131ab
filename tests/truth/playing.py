"""Plays a plan from its beginning to its end."""

from __future__ import annotations

import asyncio
import uuid

from tests.truth.fleet import Fleet, Plan
from tests.truth.mortal import MortalLoop


def played(plan: Plan, broker_url: str, state_url: str) -> dict[str, str]:
    """What went wrong, by the organization of its history; all that concerns none is at "". An
    AssertionError if it never comes to rest.
    """

    async def run() -> dict[str, str]:
        async with Fleet(plan, broker_url, state_url, f"t{uuid.uuid4().hex[:8]}") as fleet:
            await fleet.run()
            return await fleet.problems()

    with asyncio.Runner(loop_factory=MortalLoop) as runner:
        return runner.run(run())
