"""Messages that a newer version has written in its own way: each waits for a worker of that one."""

from __future__ import annotations

import time
from typing import Final

import structlog

from worker.broker.headers import CONTRACT_VERSION, events_of_bundle, newer_contract_in
from worker.broker.message import Incoming
from worker.broker.queue_names import Names
from worker.delivery.outcome import Observer, Parked
from worker.delivery.successors import Successors
from worker.reasons import ParkReason

log = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 64.0
"""One level of the delay. A rollout has some newer worker by then, and nobody is in a hurry after
one that was turned back."""
_TELL_SECONDS: Final = 3600.0


class NewerContracts:
    """Sets messages of a newer contract aside as they are: what is not known must be neither
    guessed at nor given up.
    """

    def __init__(self, queues: Names, successors: Successors, observer: Observer) -> None:
        self._event_queues = frozenset(queues.event_queues)
        self._successors = successors
        self._observer = observer
        self._told_at = -_TELL_SECONDS

    def set_aside(self, message: Incoming) -> bool:
        """Whether the message is of a newer contract, and is parked. A producer knows of no
        contract, so what comes by a queue of events is of none.
        """
        contract = newer_contract_in(message.headers)
        if contract is None or message.queue in self._event_queues:
            return False
        self._observer.parked_again(
            "", ParkReason.NEWER_CONTRACT, events_of_bundle(message.headers) or 1
        )
        self._successors.set_aside(message, Parked(WAIT_SECONDS, ParkReason.NEWER_CONTRACT))
        now = time.monotonic()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            log.warning("message.newer_contract", contract=contract, known=CONTRACT_VERSION)
        return True
