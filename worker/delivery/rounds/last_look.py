"""What nobody sends any more: for want of time, or since a worker that stops has given it back."""

from __future__ import annotations

from worker.adobe.attempt_deadline import is_too_late
from worker.delivery.rounds.user_message import UserMessage


def may_be_sent(messages: list[UserMessage]) -> bool:
    """Whether a request that speaks of these messages may begin. To be asked right before, since a
    timer that has expired is heard only at a pause. What others have now, as nothing of it was sent
    yet, is taken out of `messages`, with its reply.
    """
    if is_too_late():
        return False
    if not messages[0].deliveries[0].is_handed_over:  # nearly always: all are at once, or none
        return True
    left = [one for one in messages if not _is_given_back(one)]
    for message in messages:
        if message not in left:
            message.reply = message.late()
    messages[:] = left
    return bool(left)


def _is_given_back(message: UserMessage) -> bool:
    return all(one.is_handed_over and not one.was_sent for one in message.deliveries)
