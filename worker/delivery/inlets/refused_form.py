"""What becomes of an event in a form that its inlet does not take, of the mode auto: one goes,
alone, in the other form, where Adobe tells nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.delivery.delivery import Delivery
from worker.delivery.event_decisions import EventDecisions
from worker.delivery.inlets.known_inlets import KnownInlets
from worker.delivery.lanes.lane import Lane
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Busy, Crashed, Result, Untried
from worker.delivery.rounds.round_runner import RoundRunner
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.ordering.store_protocol import StoreUnavailable

log = structlog.get_logger(__name__)


class FormMismatch:
    """Finds out what becomes of events whose form Adobe refuses. `block`, `wait` and `conclude` act
    on what is found, `end_safely` makes a dead letter where one of them fails; `now_ms` gives ms
    since 1970.
    """

    def __init__(
        self,
        inlets: KnownInlets,
        runner: RoundRunner,
        gate: StoreGate,
        decisions: EventDecisions,
        *,
        now_ms: Callable[[], int],
        lane_of: Callable[[Integration], Lane],
        block: Callable[[Lane, Delivery, Retryable | Permanent], None],
        wait: Callable[[Lane, Delivery], None],
        conclude: Callable[[Lane, list[tuple[Delivery, Result]]], None],
        end_safely: Callable[[Callable[[Lane, Delivery], None], Lane, Delivery], None],
    ) -> None:
        self._inlets = inlets
        self._decisions = decisions
        self._now_ms = now_ms
        self._lane_of = lane_of
        self._block = block
        self._wait = wait
        self._conclude = conclude
        self._end_safely = end_safely
        self._trials = Trials(runner, gate, self._end_trial)
        self.tasks = self._trials.tasks

    def meet(self, lane: Lane, delivery: Delivery, reply: Retryable) -> None:
        """Adobe does not take the form in which the event was sent."""
        match self._inlets.after_mismatch(lane.integration):
            case "block":
                self._block(lane, delivery, reply)
            case "wait":
                self._wait(lane, delivery)
            case Integration() as whole:
                self._try_whole(delivery, whole)

    def give_back(self, act: Callable[[Lane, list[Delivery]], None]) -> None:
        """`act` on what is being tried, so that it is handed over; see `Handler.give_back`."""
        for delivery in list(self._trials.under_way):
            if delivery.message.is_ours and not delivery.is_handed_over:
                act(self._lane_of(delivery.integration), [delivery])

    def _try_whole(self, delivery: Delivery, whole: Integration) -> None:
        """Decided anew: a whole record needs more of an event, and its person has another digest in
        another state, which the lane may have adopted since.
        """
        message, decisions = delivery.message, self._decisions
        try:
            envelope = decisions.read(message.body)
            anew = decisions.decide(
                message, delivery.state, envelope, whole, self._now_ms(), delivery.is_suspect
            )
        except Exception as error:  # or all others would wait for the end of a trial
            self._end_trial(whole, delivery, _crashed(whole, error))
            return
        if isinstance(anew, Delivery):
            self._trials.begin(whole, anew)
        else:
            self._end_trial(whole, delivery, None)

    def _end_trial(self, whole: Integration, delivery: Delivery, result: Result | None) -> None:
        """An event has been tried in the other form, or could not be. It is ended once, whatever
        fails meanwhile: it may have been delivered.
        """
        lane = self._lane_of(delivery.integration)
        self._end_safely(partial(self._end_by, whole, result), lane, delivery)

    def _end_by(
        self, whole: Integration, result: Result | None, lane: Lane, delivery: Delivery
    ) -> None:
        refused_twice = self._inlets.tried(whole, result)
        if delivery.is_handed_over:
            if isinstance(result, Accepted):
                self._conclude(lane, [(delivery, result)])
            return  # it is left to its successor
        if refused_twice is not None:
            self._block(lane, delivery, refused_twice)
        elif result is None:
            self._wait(lane, delivery)
        else:
            self._conclude(lane, [(delivery, result)])


_LONGEST_WAIT_SECONDS: Final = 90.0
"""For the gap after the first form, or for another worker's lease."""
End = Callable[[Integration, Delivery, Result | None], None]


class Trials:
    """Sends an event in the other form, to try it. `end` is called once with what came of it; None
    where it could not be tried. It does not raise.
    """

    def __init__(self, runner: RoundRunner, gate: StoreGate, end: End) -> None:
        self._runner = runner
        self._gate = gate
        self._end = end
        self.tasks: set[asyncio.Task[None]] = set()
        self.under_way: set[Delivery] = set()
        """What is being tried, and was not ended."""

    def begin(self, whole: Integration, delivery: Delivery) -> None:
        """Send a delivery in the other form. Not by its lane, whose messages have the first."""
        task = asyncio.create_task(self._try(whole, delivery))
        self.under_way.add(delivery)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _try(self, whole: Integration, delivery: Delivery) -> None:
        result: Result | None = None
        try:
            result = await self._result(whole, delivery)
        except StoreUnavailable as problem:
            self._gate.close(problem, whole.state_id)
        except Exception as error:  # a fault of ours becomes a dead letter, as in a round
            result = _crashed(whole, error)
        self.under_way.discard(delivery)
        self._end(whole, delivery, result)

    async def _result(self, whole: Integration, delivery: Delivery) -> Result | None:
        ends_at = time.monotonic() + _LONGEST_WAIT_SECONDS
        while True:
            delivery.attempt_began = time.monotonic()
            results = await self._runner.deliver(whole, [[delivery]], RequestSlots(1))
            (result,) = [one for _, one in results]
            if isinstance(result, Untried):  # the attempt's time was over before anything was sent
                return None
            if not isinstance(result, Busy):
                return result
            if time.monotonic() + result.wait_seconds > ends_at:
                return None
            await asyncio.sleep(result.wait_seconds)
            if delivery.is_handed_over:
                return None


def _crashed(whole: Integration, error: Exception) -> Crashed:
    log.exception("lane.unexpected_error", integration=whole.id)
    return Crashed(type(error).__name__)
