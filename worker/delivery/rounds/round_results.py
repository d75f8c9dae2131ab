"""What a round says of one delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.adobe.replies import Accepted, NoProfile, Permanent, Reply
from worker.delivery.delivery import Delivery
from worker.integrations.model import Integration
from worker.ordering.newest_fold import Folded
from worker.ordering.snapshot_lines import took_nothing_back
from worker.ordering.stamp import Said, Stamp
from worker.ordering.verdicts import Verdict
from worker.transform.decision_types import NOTHING


@dataclass(frozen=True, slots=True)
class Superseded:
    """Adobe has something newer for every attribute of the event."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Adobe has accepted this very event."""


@dataclass(frozen=True, slots=True)
class Emptied:
    """The event takes back choices of which nothing is sent; they are remembered."""


@dataclass(frozen=True, slots=True)
class NoChoices:
    """A snapshot without any choice, of somebody of whom nothing is known."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The person has been erased since the choice was made."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker is sending for the user (`is_held`), or has just done so; the user is free
    after `wait_seconds` at the latest.
    """

    wait_seconds: float
    is_held: bool


@dataclass(frozen=True, slots=True)
class Crashed:
    """A fault of our own met the delivery; `error` is its type."""

    error: str


@dataclass(frozen=True, slots=True)
class Untried:
    """No request of its own was left for the event: the attempt's time is over, or Adobe has just
    accepted a whole record of the same person. It waits on.
    """


Result = Reply | Superseded | Duplicate | Emptied | NoChoices | Erased | Busy | Crashed | Untried

_AT_ONCE: Final[dict[Verdict, Result]] = {
    Verdict.SUPERSEDED: Superseded(),
    Verdict.DUPLICATE: Duplicate(),
}
ONCE_ACCEPTED: Final[dict[Verdict, Result]] = {
    Verdict.YIELDS: Superseded(),
    Verdict.UNDOES: Superseded(),
    Verdict.FOLLOWS: Duplicate(),
    Verdict.EMPTIES: Emptied(),
    Verdict.SAYS_NOTHING: NoChoices(),
}
"""What it means when Adobe has accepted the message."""


def at_once(verdict: Verdict, delivery: Delivery, said: Mapping[str, Said]) -> Result | None:
    """What a verdict on an event means whatever becomes of the message; None if it awaits that.
    `said` is what stands of the person.
    """
    is_copy = verdict is Verdict.DUPLICATE and delivery.state.is_handed_over
    if is_copy and took_nothing_back(delivery.choice, said):
        return Emptied()  # no request of it was accepted: the copy that is known emptied as well
    return _AT_ONCE.get(verdict)


def is_messages_fault(reply: object) -> bool:
    """Whether it is worth to find out which message, or which event of it, was refused."""
    return isinstance(reply, Crashed) or (isinstance(reply, Permanent) and reply.fault != "set-up")


def standing(reply: object, folded: Folded, integration: Integration) -> Mapping[str, Stamp]:
    """The stamps that stand after a message that had this `reply`.

    Those of a person whom Adobe does not know are less than the choice itself, so that it may come
    again: but what is older comes too late, whenever Adobe gets to know the person. Where more than
    stamps is kept there is none: beside them would have to stand who said it, and how.
    """
    if isinstance(reply, Accepted) or not folded.is_sent:
        return folded.written
    if isinstance(reply, NoProfile) and not integration.keeps_more:
        return {path: stamp._replace(event_id="") for path, stamp in folded.written.items()}
    return NOTHING
