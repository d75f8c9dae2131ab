"""The broker's bound for the size of a message, learned from its answer: nothing else tells it.

RabbitMQ answers a body above `max_message_size` by closing the channel, and names both sizes
(`rabbit_channel`, `check_msg_size`).
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, NamedTuple

import structlog

from worker.wire.confirms import Outgoing

log = structlog.get_logger(__name__)

_BELIEVED_SECONDS: Final = 60.0
"""An operator may raise the bound: after so long it is tried once whether it still holds."""
_REFUSAL: Final = re.compile(
    r"message size (\d{1,15}) is larger than (?:configured )?max size (\d{1,15})"
)
_MEANS: Final = (
    "max_message_size of RabbitMQ is below what a worker publishes. From now on parked events go "
    "in smaller bundles, and the broker makes a dead letter of an event above the bound. See "
    "docs/running-a-fleet.md for what the bound must be at least"
)


class SizeRefusal(NamedTuple):
    """What the broker says of a message that is too large for it, in bytes of the body."""

    body_bytes: int
    most_bytes: int


def size_refusal_in(text: str) -> SizeRefusal | None:
    """The sizes in the broker's answer to a message that is too large; None in any other."""
    found = _REFUSAL.search(text)
    return SizeRefusal(int(found[1]), int(found[2])) if found is not None else None


class SizeBound:
    """The bound as far as it is known; `now` is in seconds."""

    def __init__(self) -> None:
        self._most_bytes: int | None = None
        self._believed_until = 0.0

    def learn(self, refusal: SizeRefusal | None, now: float) -> None:
        """The broker has named its bound, or not; says so, once for each bound."""
        if refusal is None:
            return
        if refusal.most_bytes != self._most_bytes:
            log.error(
                "publish.too_large",
                body_bytes=refusal.body_bytes,
                most_body_bytes=refusal.most_bytes,
                detail=_MEANS,
            )
        self._most_bytes = refusal.most_bytes
        self._believed_until = now + _BELIEVED_SECONDS

    def give_back(self, one: Outgoing, now: float) -> bool:
        """Whether a message is known to be too large for the broker: then it is given back soon to
        who published it, if that is prepared for it.
        """
        most = self._most_bytes
        if most is None or len(one.body) <= most or one.too_large is None:
            return False
        if now >= self._believed_until:
            return False
        asyncio.get_running_loop().call_soon(one.too_large, most)
        return True
