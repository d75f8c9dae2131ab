"""One event, alone, in the other form: where Adobe tells nothing, and refused its first form."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from worker.delivery.delivery import Delivery
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Busy, Crashed, Result
from worker.delivery.rounds.round_runner import RoundRunner
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.ordering.store_protocol import StoreUnavailable

_LONGEST_WAIT_SECONDS: Final = 90.0
"""For the gap after the first form, or for another worker's lease."""
End = Callable[[Integration, Delivery, Result | None], None]


class Trials:
    """`end` is called with what came of it; None where it could not be tried."""

    def __init__(self, runner: RoundRunner, gate: StoreGate, end: End) -> None:
        self._runner = runner
        self._gate = gate
        self._end = end
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, whole: Integration, delivery: Delivery) -> None:
        """Send it. Not by its lane, which has messages in the first form."""
        task = asyncio.create_task(self._try(whole, delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, whole: Integration, delivery: Delivery) -> None:
        result: Result | None
        try:
            result = await self._result(whole, delivery)
        except StoreUnavailable as problem:
            self._gate.close(problem)
            result = None
        except Exception as error:  # a fault of ours becomes a dead letter, as in a round
            result = Crashed(type(error).__name__)
        self._end(whole, delivery, result)

    async def _result(self, whole: Integration, delivery: Delivery) -> Result | None:
        ends_at = time.monotonic() + _LONGEST_WAIT_SECONDS
        while True:
            delivery.attempt_began = time.monotonic()
            results = await self._runner.deliver(whole, [[delivery]], RequestSlots(1))
            (result,) = [one for _, one in results]
            if not isinstance(result, Busy):
                return result
            if time.monotonic() + result.wait_seconds > ends_at:
                return None
            await asyncio.sleep(result.wait_seconds)
