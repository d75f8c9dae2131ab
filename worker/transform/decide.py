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
from worker.transform.mapping import AmbiguousMapping, UnusableValue, attributes_of, flatten


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
    if (unwanted := _unwanted_record(integration, envelope, record)) is not None:
        return unwanted
    try:
        flat = flatten(record, integration.wanted_values)
    except AmbiguousMapping as error:
        return Reject("ambiguous-mapping", str(error))
    except UnusableValue as error:
        return Reject("invalid-event", str(error))
    attributes, unmatched = attributes_of(integration, flat)
    if not attributes:
        return Skip("nothing-mapped")
    identity = resolve_identity(integration, record)
    if identity is None:
        identifiers = ", ".join(integration.properties.user_identifier)
        return Reject("no-identity", f"no usable value for user_identifier {identifiers}")
    return Deliver(
        record.event_id,
        record.event_time_ms,
        record.updated_at_ms,
        identity,
        attributes,
        unmatched,
    )


def _unwanted_kind(integration: Integration, envelope: Envelope) -> Skip | None:
    if integration.events == "user":
        if not envelope.is_snapshot:
            return Skip("consent-event")
        return Skip("user-deleted") if envelope.is_deletion else None
    if envelope.is_snapshot:
        return Skip("user-event")
    return Skip("event-deleted") if envelope.is_deletion else None


def _unwanted_record(
    integration: Integration, envelope: Envelope, record: ConsentRecord
) -> Skip | None:
    if envelope.regulation not in integration.regulations:
        return Skip("regulation")
    if record.is_pending:
        return Skip("pending-approval")
    return None if (record.organization_user_id or "").strip() else Skip("guest")
