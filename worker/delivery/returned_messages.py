"""What a message tells that comes back, how late it is and of which state it knows; and how what
comes back lets fresh events pass.

After an outage thousands of retries are due at once, and the broker hands out as many as the
prefetch admits. To look into all of them in one go would hold up every customer's fresh events for
as long as that takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from worker.broker import headers as names
from worker.broker.headers import epoch_in, lateness_seconds, returns_in
from worker.broker.message import Incoming
from worker.broker.queue_names import Names
from worker.delivery.newer_contracts import NewerContracts
from worker.delivery.outcome import Observer, ReturnKind
from worker.delivery.rounds.epoch_watch import EpochWatch
from worker.delivery.slices import REST_SECONDS, handle_slice


class ReturnedMessages:
    """Tells `observer` how late messages come back, and `epochs` which epochs they name; `now_ms`
    gives ms since 1970.
    """

    def __init__(
        self,
        queues: Names,
        epochs: EpochWatch,
        observer: Observer,
        newer: NewerContracts,
        now_ms: Callable[[], int],
    ) -> None:
        self.set_aside = newer.set_aside
        """Whether it was written by a newer version, and waits for such a one."""
        self._event_queues = frozenset(queues.event_queues)
        self._kinds: dict[str, ReturnKind] = {queues.retries: "retry", queues.parked: "parked"}
        self._epochs = epochs
        self._observer = observer
        self._now_ms = now_ms

    def note(self, message: Incoming) -> None:
        """See what the headers of a message that comes back say beside its state."""
        if names.EPOCH in message.headers:
            self._note_epoch(message)
        kind = self._kinds.get(message.queue)
        # The first time that it is handed out: later it is late by what its workers did.
        if kind is None or names.DUE_AT not in message.headers or returns_in(message.headers):
            return
        late_seconds = lateness_seconds(message.headers, self._now_ms())
        if late_seconds is not None:
            self._observer.came_back(kind, late_seconds)

    def _note_epoch(self, message: Incoming) -> None:
        """What comes back tells whether the state is still that under which it was published. A
        producer knows nothing of the state.
        """
        if message.queue in self._event_queues:
            message.headers = {
                name: value for name, value in message.headers.items() if name != names.EPOCH
            }
        elif (epoch := epoch_in(message.headers)) is not None:
            self._epochs.meet(epoch)


class GivingWay:
    """Has messages that come back give way to fresh events: `handle` gets each when its turn has
    come.

    That is over a thousand in a second, so what is in hand already is late by two seconds at most;
    the broker hands out more of them more slowly (see `Acknowledging`).
    """

    def __init__(self, handle: Callable[[Incoming], None]) -> None:
        self._handle = handle
        self._messages: deque[Incoming] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, message: Incoming) -> None:
        """A message has come by an intake that gives way to others now."""
        self._messages.append(message)
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        seconds = REST_SECONDS if self._messages[0].source.gives_way() else 0
        self._timer = asyncio.get_running_loop().call_later(seconds, self._next)

    def _next(self) -> None:
        self._timer = None
        handle_slice(self._messages, self._handle)
        if self._messages:
            self._wait()
