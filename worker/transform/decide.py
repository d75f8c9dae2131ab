"""What is to be done with one event for one integration. Pure, and the order of checks matters.

Mapping precedes identity, so that an event which has nothing to say is skipped rather than
dead-lettered for want of an e-mail address.
"""

from __future__ import annotations

from worker.events import (
    ConsentRecord,
    EarlyEvent,
    Envelope,
    UndecodableEvent,
    read_record,
)
from worker.integrations.model import Integration
from worker.transform.decision import Decision, Deliver, Early, Reject, Skip
from worker.transform.identity import resolve_identity
from worker.transform.mapping import AmbiguousMapping, attributes_of, flatten
from worker.transform.plan import Plan, plan_of
from worker.transform.render import UnusableValue

_BEFORE_ANY_UPDATE = -1
"""What a choice that is not confirmed yet has for its last update, so that its confirmation is the
newer one, even where a producer tells no update."""


def decide(integration: Integration, envelope: Envelope, now_ms: int) -> Decision:
    """Deliver, skip, reject or wait; `now_ms` is milliseconds since the epoch. Never raises."""
    if (unwanted := _unwanted_kind(integration, envelope)) is not None:
        return unwanted
    try:
        record = read_record(envelope, now_ms)
    except UndecodableEvent as error:
        return Reject(error.reason, str(error))
    except EarlyEvent as early:
        return Early(early.seconds)
    plan = plan_of(integration)
    if (unwanted := _unwanted_record(integration, plan, envelope, record)) is not None:
        return unwanted
    time_ms, is_pending = record.event_time_ms, record.is_pending
    try:
        flat = flatten(envelope, record, plan)
        said, unmatched, unusable = attributes_of(plan, flat, time_ms, is_pending=is_pending)
    except AmbiguousMapping as error:
        return Reject("ambiguous-mapping", str(error))
    except UnusableValue as error:
        return Reject("invalid-event", str(error))
    if not said:
        return _nothing(unusable, is_pending=is_pending)
    identity = resolve_identity(integration, record)
    if identity is None:
        identifiers = ", ".join(integration.properties.user_identifier)
        return Reject("no-identity", f"no usable value for user_identifier {identifiers}")
    updated_at_ms = _BEFORE_ANY_UPDATE if is_pending else record.updated_at_ms
    return Deliver(record.event_id, time_ms, updated_at_ms, identity, said, unmatched, unusable)


def unowned_deletion(envelope: Envelope) -> Skip:
    """Why an event that tells no organization is skipped, which only a deletion may be."""
    return Skip("user-deleted" if envelope.is_snapshot else "event-deleted")


def _nothing(unusable: tuple[str, ...], *, is_pending: bool) -> Skip | Reject:
    if unusable:
        return Reject(
            "invalid-event",
            f"what goes to {unusable[0]} is a list or an object: give its mapping format list or "
            "text",
        )
    return Skip("pending-approval" if is_pending else "nothing-mapped")


def _unwanted_kind(integration: Integration, envelope: Envelope) -> Skip | None:
    if integration.events == "user":
        if not envelope.is_snapshot:
            return Skip("consent-event")
        return Skip("user-deleted") if envelope.is_deletion else None
    if envelope.is_snapshot:
        return Skip("user-event")
    return Skip("event-deleted") if envelope.is_deletion else None


def _unwanted_record(
    integration: Integration, plan: Plan, envelope: Envelope, record: ConsentRecord
) -> Skip | None:
    if envelope.regulation not in integration.regulations:
        return Skip("regulation")
    if record.is_pending and not plan.may_be_pending:
        return Skip("pending-approval")
    return None if (record.organization_user_id or "").strip() else Skip("guest")
