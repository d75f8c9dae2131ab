"""What nobody sends any more: for want of time, or since a worker that stops has given it back."""

from __future__ import annotations

from collections.abc import Sequence

from worker.adobe.attempt_deadline import is_too_late
from worker.delivery.rounds.user_message import UserMessage


def may_be_sent(messages: Sequence[UserMessage]) -> bool:
    """Whether a request that speaks of these messages may begin. To be asked right before, since a
    timer that has expired is heard only at a pause.
    """
    if is_too_late():
        return False
    if not messages[0].deliveries[0].is_handed_over:  # nearly always
        return True
    deliveries = (delivery for one in messages for delivery in one.deliveries)
    return any(one.was_sent or not one.is_handed_over for one in deliveries)
