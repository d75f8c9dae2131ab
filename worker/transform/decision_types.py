"""What is to be done with one event for one integration: deliver, skip or reject.

Decision
 ├─ Deliver   something is to be said to Adobe
 ├─ Skip      nothing is to be done, which is normal; acknowledged and counted
 ├─ Reject    something is wrong; a person must look, so it becomes a dead letter
 └─ Early     its time has not come yet, by the worker's clock: it waits
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from worker.evidence.receipt import ChoiceKind
from worker.integrations.sections import UserIdentifier
from worker.reasons import DeadReason, SkipReason

Source = list[Any]
"""JSON: what an event said of an attribute, see `transform.sources`."""
RejectReason = Literal[
    DeadReason.AMBIGUOUS_MAPPING, DeadReason.INVALID_EVENT, DeadReason.NO_IDENTITY
]
"""Why an event that can be read can't be sent."""
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Identity(NamedTuple):
    """Who the record is about. `value` is personal data, already normalised."""

    identifier: UserIdentifier
    value: str
    path: str
    namespace: str | None
    in_identity_map: bool

    @property
    def place(self) -> str:
        """Where an identity is said: the namespace of an identity map, or a path."""
        return (self.namespace if self.in_identity_map else self.path) or ""


class Deliver(NamedTuple):
    """What is to be said to Adobe. `attributes`: dotted path → value as it is sent, or a `Sent`
    that says more of it; `EMPTIED` is remembered and not sent.

    `unmatched`: mapping ids with nothing to say. `unusable`: those whose place holds a list, an
    object or a number beyond 64 bits that is left out. `companions`: the paths that make no message
    by themselves. `sources`: what to keep of each attribute so that it can be written again, see
    `transform.sources`; None where nothing completes its messages.

    Of a snapshot, `didomi_user` says whose it is at Didomi: the regulation, and the id of the user,
    which is personal data. It is not the person, who may have several devices. `absent` says of
    every mapped path but the unusable ones what it becomes if a newer snapshot of the same
    `didomi_user` does not name it any more. It `is_silent_if_unknown` when it has no `consents`:
    then it means "nothing is chosen" of users only of whom the state knows something. `kind` is
    that of the event itself, whatever it is folded with.
    """

    event_id: str
    event_time_ms: int
    updated_at_ms: int | None
    identity: Identity
    attributes: dict[str, Any]
    unmatched: tuple[str, ...]
    unusable: tuple[str, ...] = ()
    kind: ChoiceKind = "other"
    companions: frozenset[str] = frozenset()
    sources: Mapping[str, Source] | None = None
    didomi_user: str | None = None
    absent: Mapping[str, Any] = NOTHING
    is_silent_if_unknown: bool = False


BESIDES_THE_CHOICE: Final = (frozenset[str](), None, None, NOTHING, False)
"""The fields of a `Deliver` from `companions` on, of what is neither a snapshot nor completed."""


@dataclass(frozen=True, slots=True)
class Skip:
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Reject:
    """Why an event is rejected: `detail` says which field and what to do, without a value of it."""

    reason: RejectReason
    detail: str


@dataclass(frozen=True, slots=True)
class Early:
    """The event is of the future, by the worker's clock, for `seconds` more."""

    seconds: float


Decision = Deliver | Skip | Reject | Early
