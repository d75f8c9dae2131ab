"""Events of organizations of which this worker knows no integration: the fleet is asked first.

The file of a new integration reaches the workers of a fleet one after the other. Who has it not yet
must not pass over what the others deliver. So such an event waits in hand until the store, asked
after it came, knows nothing of its organization either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from worker.broker.message import Incoming
from worker.delivery.outcome import Outcome, Skipped
from worker.delivery.rounds.part_gate import tell_fault
from worker.delivery.slices import not_handled
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import SkipReason

_PASSED_OVER: Final = Skipped(SkipReason.NO_INTEGRATION)
_GATHER_SECONDS: Final = 0.2
"""One question is for all that came meanwhile: events of customers without integration may be most
of all events."""
_SHARE_OF_ASKING: Final = 0.1
"""Of the time, at most, where the store knows so many integrations that to ask takes long."""
_LONGEST_GATHER_SECONDS: Final = 2.0
_AWAY_SECONDS: Final = 1.0

AskFleet = Callable[[], Awaitable[None]]
"""Takes over what the workers of the fleet know. Raises `StoreUnavailable`."""


class UnknownOrganizations:
    """Holds events of unknown organizations: `handle` gets each message again once the fleet was
    asked. Without `ask_fleet` there is none to ask, and nothing waits.
    """

    def __init__(self, ask_fleet: AskFleet | None, handle: Callable[[Incoming], None]) -> None:
        self._ask_fleet = ask_fleet
        self._handle = handle
        self._waiting: list[Incoming] = []
        self._asked: Incoming | None = None
        self._asking: asyncio.Task[None] | None = None

    def must_wait(self, message: Incoming, outcome: Outcome) -> bool:
        """Whether the event of `message`, which would have that outcome, is held until the fleet
        was asked.
        """
        if self._ask_fleet is None or message is self._asked or outcome != _PASSED_OVER:
            return False
        self._waiting.append(message)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(self._ask_fleet))
        return True

    async def _ask(self, ask_fleet: AskFleet) -> None:
        loop = asyncio.get_running_loop()
        pause, told = _GATHER_SECONDS, ""
        while self._waiting:
            await asyncio.sleep(pause)
            waiting, self._waiting = self._waiting, []
            began = loop.time()
            try:
                await ask_fleet()
            except Exception as error:
                self._waiting = waiting + self._waiting
                pause = _AWAY_SECONDS
                # The gate tells of a state that is away. Of a fault of ours it is told once, and
                # not each time that it is met.
                name = type(error).__name__
                if not isinstance(error, StoreUnavailable) and name != told:
                    tell_fault(error)
                    told = name
                continue
            took = loop.time() - began
            pause = min(max(_GATHER_SECONDS, took / _SHARE_OF_ASKING), _LONGEST_GATHER_SECONDS)
            for message in waiting:
                if message.is_ours:
                    self._asked = message
                    try:
                        self._handle(message)
                    except Exception as error:
                        not_handled(error)
            self._asked = None
