"""What is to be done with one event for one integration. Pure, and the order of checks matters.

Mapping precedes identity, so that an event which has nothing to say is skipped rather than
dead-lettered for want of an e-mail address.
"""

from __future__ import annotations

from typing import Final

from worker.events import (
    ConsentRecord,
    EarlyEvent,
    Envelope,
    EventKind,
    UndecodableEvent,
    read_record,
)
from worker.fast_tuples import new_tuple
from worker.integrations.model import Integration
from worker.reasons import DeadReason, SkipReason
from worker.transform.choice_kind import choice_kind
from worker.transform.decision_types import (
    BESIDES_THE_CHOICE,
    Decision,
    Deliver,
    Early,
    Reject,
    Skip,
)
from worker.transform.flattening import AmbiguousMapping, attributes_of, flatten
from worker.transform.format_rendering import UnusableValue
from worker.transform.identity import resolve_identity
from worker.transform.kept_sources import with_record
from worker.transform.mapping_plan import Plan, plan_of
from worker.transform.taken_back import has_choices, may_take_back, with_snapshot
from worker.transform.tie_order import order_of_update

_UNWANTED_KINDS: Final[dict[str, dict[EventKind, Skip]]] = {
    "event": {
        "event.deleted": Skip(SkipReason.EVENT_DELETED),
        "user.created": Skip(SkipReason.USER_EVENT),
        "user.updated": Skip(SkipReason.USER_EVENT),
        "user.deleted": Skip(SkipReason.USER_EVENT),
    },
    "user": {
        "event.created": Skip(SkipReason.CONSENT_EVENT),
        "event.updated": Skip(SkipReason.CONSENT_EVENT),
        "event.deleted": Skip(SkipReason.CONSENT_EVENT),
        "user.deleted": Skip(SkipReason.USER_DELETED),
    },
}
"""By what an integration takes, and the kind of an event."""


def decide(integration: Integration, envelope: Envelope, now_ms: int) -> Decision:
    """What becomes of an event at an integration: deliver, skip, reject or wait; `now_ms` is
    milliseconds since the epoch. Never raises.
    """
    plan = plan_of(integration)
    if (unwanted := _UNWANTED_KINDS[plan.events].get(envelope.kind)) is not None:
        return unwanted
    try:
        record = read_record(envelope, now_ms)
    except UndecodableEvent as error:
        return Reject(DeadReason.INVALID_EVENT, str(error))
    except EarlyEvent as early:
        return Early(early.seconds)
    if (unwanted := _unwanted_record(plan, envelope, record)) is not None:
        return unwanted
    try:
        return _choice(integration, plan, envelope, record)
    except AmbiguousMapping as error:
        return Reject(DeadReason.AMBIGUOUS_MAPPING, str(error))
    except UnusableValue as error:
        return Reject(DeadReason.INVALID_EVENT, str(error))


def _choice(
    integration: Integration, plan: Plan, envelope: Envelope, record: ConsentRecord
) -> Decision:
    """What a wanted event says. Raises `AmbiguousMapping` and `UnusableValue`."""
    time_ms, is_pending, is_snapshot = record.event_time_ms, record.is_pending, envelope.is_snapshot
    if is_snapshot and not may_take_back(envelope) and not has_choices(envelope):
        return Skip(SkipReason.NO_CHOICES)
    flat = flatten(envelope, record, plan)
    said, unmatched, unusable = attributes_of(
        plan, flat, time_ms, is_pending=is_pending, is_snapshot=is_snapshot
    )
    says_something = not (said.keys() <= plan.companions if is_snapshot else not said)
    if not says_something and not may_take_back(envelope):
        return _nothing(unusable, is_pending=is_pending)
    identity = resolve_identity(plan.identity_places, record)
    if identity is None:
        if not says_something:
            return Skip(SkipReason.NOTHING_MAPPED)
        identifiers = ", ".join(integration.properties.user_identifier)
        return Reject(DeadReason.NO_IDENTITY, f"no usable value for user_identifier {identifiers}")
    updated_at_ms = record.updated_at_ms
    if updated_at_ms is None or is_pending or envelope.kind != "event.created":
        updated_at_ms = order_of_update(envelope, record)
    kind = choice_kind(flat, plan.free, is_pending=is_pending)
    told = (record.event_id, time_ms, updated_at_ms, identity, said, unmatched, unusable, kind)
    choice = new_tuple(Deliver, told + BESIDES_THE_CHOICE)
    if plan.companions or plan.replaces_record:
        choice = with_record(choice, integration, plan, flat, is_pending=is_pending)
    return with_snapshot(choice, plan, envelope) if is_snapshot else choice


def unowned_deletion(envelope: Envelope) -> Skip:
    """Why an event that tells no organization is skipped, which only a deletion may be."""
    return Skip(SkipReason.USER_DELETED if envelope.is_snapshot else SkipReason.EVENT_DELETED)


def _nothing(unusable: tuple[str, ...], *, is_pending: bool) -> Skip | Reject:
    if unusable:
        return Reject(
            DeadReason.INVALID_EVENT,
            f"what goes to {unusable[0]} is a list or an object, which its mapping does not write "
            "(see the formats list and text), or a number beyond 64 bits, which a text can hold",
        )
    return Skip(SkipReason.PENDING_APPROVAL if is_pending else SkipReason.NOTHING_MAPPED)


def _unwanted_record(plan: Plan, envelope: Envelope, record: ConsentRecord) -> Skip | None:
    if envelope.regulation not in plan.regulations:
        return Skip(SkipReason.REGULATION)
    if record.is_pending and not plan.may_be_pending:
        return Skip(SkipReason.PENDING_APPROVAL)
    return None if (record.organization_user_id or "").strip() else Skip(SkipReason.GUEST)
