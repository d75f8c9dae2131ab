"""Events of organizations of which this worker knows no integration: the fleet is asked first.

The file of a new integration reaches the workers of a fleet one after the other. Who has it not yet
must not pass over what the others deliver. So such an event waits in hand until the store, asked
after it came, knows nothing of its organization either; or is parked, where the store is away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.outcome import Outcome, Parked, Skipped
from worker.delivery.park_delays import hold_seconds
from worker.delivery.rounds.part_gate import tell_fault
from worker.delivery.routing import Ends
from worker.delivery.slices import REST_SECONDS, handle_slice
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import ParkReason, SkipReason

_PASSED_OVER: Final = Skipped(SkipReason.NO_INTEGRATION)
_GATHER_SECONDS: Final = 0.2
"""One question is for all that came meanwhile: events of customers without integration may be most
of all events."""
_SHARE_OF_ASKING: Final = 0.1
"""Of the time, at most, where the store knows so many integrations that to ask takes long."""
_LONGEST_GATHER_SECONDS: Final = 2.0

AskFleet = Callable[[], Awaitable[None]]
"""Takes over what the workers of the fleet know. Raises `StoreUnavailable`."""


class UnknownOrganizations:
    """Holds events of unknown organizations: `handle` gets each message again once the fleet was
    asked, or could not be. Without `ask_fleet` there is none to ask, and nothing waits.
    """

    def __init__(self, ask_fleet: AskFleet | None, handle: Callable[[Incoming], None]) -> None:
        self._ask_fleet = ask_fleet
        self._handle = handle
        self._waiting: deque[Incoming] = deque()
        self._asked: Incoming | None = None
        self._is_answered = False
        self._asking: asyncio.Task[None] | None = None

    def ending(self, message: Incoming, part: Ends, organization_id: str) -> Outcome | None:
        """What becomes of the event of `message`, of an organization with this id, which would end
        as `part` says; None where it is held until the fleet was asked. It is parked where that
        could not be: who waits in hand until the state is back takes the places of those who do not
        need it.
        """
        if self._ask_fleet is None or part.outcome != _PASSED_OVER:
            return part.outcome
        if message is self._asked:
            return part.outcome if self._is_answered else _parked(part.state, organization_id)
        self._waiting.append(message)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(self._ask_fleet))
        return None

    async def _ask(self, ask_fleet: AskFleet) -> None:
        loop = asyncio.get_running_loop()
        pause, told = _GATHER_SECONDS, ""
        while self._waiting:
            await asyncio.sleep(pause)
            waiting, self._waiting = self._waiting, deque()
            began = loop.time()
            try:
                await ask_fleet()
                self._is_answered = True
            except Exception as error:
                self._is_answered = False
                # The gate tells of a state that is away. Of a fault of ours it is told once, and
                # not each time that it is met.
                name = type(error).__name__
                if not isinstance(error, StoreUnavailable) and name != told:
                    tell_fault(error)
                    told = name
            took = loop.time() - began
            pause = min(max(_GATHER_SECONDS, took / _SHARE_OF_ASKING), _LONGEST_GATHER_SECONDS)
            while waiting:
                handle_slice(waiting, self._handle_again)
                await asyncio.sleep(_rest_before(waiting))

    def _handle_again(self, message: Incoming) -> None:
        self._asked = message
        try:
            self._handle(message)
        finally:
            self._asked = None


def _rest_before(waiting: deque[Incoming]) -> float:
    """Seconds of a turn for others. Fresh events have it as it is: of these there may be more than
    slices with rests between them would let through.
    """
    return REST_SECONDS if waiting and waiting[0].source.gives_way() else 0.0


def _parked(state: RetryState, organization_id: str) -> Parked:
    """Its doubt is that of its organization alone, so it shares a bundle with no other's."""
    seconds = hold_seconds(state.parks)
    return Parked(seconds, ParkReason.IN_DOUBT, organization_id=organization_id)
