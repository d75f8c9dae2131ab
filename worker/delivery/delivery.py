"""One event on its way to one integration."""

from __future__ import annotations

import time
from typing import Final

from worker.broker.headers import HTTP_STATUS
from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.receipt_facts import EventFacts
from worker.integrations.model import Integration
from worker.transform.decision_types import Deliver

ANY_BATCH: Final = 1_000_000
_FIRST_SUSPECT_BATCH: Final = 25


class Delivery:
    """One event on its way to one integration: `choice` is what it has to say, `user` the digest of
    whom. It was taken at `began` and its attempt began at `attempt_began`, both monotonic seconds.
    It goes with at most `batch_limit` messages in one request. It `is_due` when an attempt was made
    before. Once it `was_sent`, Adobe may have seen it; one that `is_handed_over` has a successor
    that will be tried again, whatever becomes of the request under way. It `is_through` when that
    succeeds after all; the successor is in the delay until `due_at` (monotonic seconds), once the
    broker has confirmed it. One that Adobe has accepted is sent again after `repeat_seconds`, if
    that is not None: an older choice may still be carried out until then. `facts` are for its
    receipt, None where none is written. `other_ids` are what the event may be called in the state
    beside the id of its choice.
    """

    __slots__ = (
        "attempt_began",
        "batch_limit",
        "began",
        "choice",
        "due_at",
        "facts",
        "integration",
        "is_due",
        "is_handed_over",
        "is_suspect",
        "is_through",
        "message",
        "other_ids",
        "repeat_seconds",
        "state",
        "user",
        "was_sent",
    )

    def __init__(
        self,
        message: Incoming,
        state: RetryState,
        integration: Integration,
        choice: Deliver,
        user: str,
        is_suspect: bool = False,
        facts: EventFacts | None = None,
        other_ids: tuple[str, ...] = (),
    ) -> None:
        self.message = message
        self.state = state
        self.integration = integration
        self.choice = choice
        self.user = user
        self.is_suspect = is_suspect
        self.facts = facts
        self.other_ids = other_ids
        self.is_handed_over = self.was_sent = self.is_through = False
        self.due_at: float | None = None
        self.repeat_seconds: float | None = None
        self.began = self.attempt_began = time.monotonic()
        self.batch_limit = ANY_BATCH
        self.is_due = state.attempts_made > 0
        if self.is_due and message.headers.get(HTTP_STATUS) == 500:
            self.batch_limit = batch_limit_after(state.attempts_made)


def batch_limit_after(attempts: int) -> int:
    """Messages in a request with one whose `attempts` attempts ended in HTTP 500: 25, 3, then 1.

    An endpoint may answer so because of one message that it can't digest. Such a message must not
    take others with it to the dead letters, so by the third retry it stands alone.
    """
    return max(1, _FIRST_SUSPECT_BATCH >> 3 * (attempts - 1))
