"""What the exchanges and queues of a namespace are called."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings import DEFAULT_EVENT_QUEUES


@dataclass(frozen=True, slots=True)
class Names:
    """The names of exchanges and queues of one namespace; `listed` are the event queues as the
    setting has them.
    """

    namespace: str
    listed: tuple[str, ...] = DEFAULT_EVENT_QUEUES

    @property
    def events(self) -> str:
        """Exchange of fresh events, and the queue that it leads to. It is always an event queue."""
        return f"{self.namespace}.events"

    @property
    def event_queues(self) -> tuple[str, ...]:
        """All queues of fresh events."""
        return tuple(f"{self.namespace}.{one}" for one in self.listed)

    @property
    def event_exchange(self) -> str:
        """The exchange that leads to each event queue by its name, where there are several."""
        return f"{self.namespace}.event-queues"

    @property
    def event_targets(self) -> tuple[tuple[str, str], ...]:
        """Exchange and routing key of each event queue, for who publishes to all in turn."""
        if len(self.listed) == 1:
            return ((self.events, ""),)
        return tuple((self.event_exchange, one) for one in self.event_queues)

    @property
    def retry(self) -> str:
        """The exchange that a delay ends in."""
        return f"{self.namespace}.retry"

    @property
    def retries(self) -> str:
        """The queue of deliveries that are due again."""
        return f"{self.namespace}.retries"

    @property
    def parked(self) -> str:
        """Exchange and queue of what was parked and is due again."""
        return f"{self.namespace}.parked"

    @property
    def suspects(self) -> str:
        """The queue of messages that were returned often, to be handled one at a time."""
        return f"{self.namespace}.suspects"

    @property
    def dead_letters(self) -> str:
        """Exchange and queue of the dead letters."""
        return f"{self.namespace}.dead-letters"

    @property
    def receipts(self) -> str:
        """The stream of the receipts."""
        return f"{self.namespace}.receipts"

    @property
    def single_worker(self) -> str:
        """The lock of the worker that keeps the state of newest-wins for itself."""
        return f"{self.namespace}.single-worker"

    @property
    def dead_letters_lock(self) -> str:
        """The lock of the command that works on the dead letters."""
        return f"{self.namespace}.dead-letters.lock"
