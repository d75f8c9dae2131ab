"""What a receipt tells of an event itself. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from worker.events import Envelope, UndecodableEvent, is_called_as_person
from worker.events.field_readers import optional_time
from worker.evidence.receipt import body_id
from worker.fast_tuples import new_tuple
from worker.redaction import shown_id
from worker.transform.decision_types import Deliver


class EventFacts(NamedTuple):
    """What a receipt tells of an event. `event_id` is one that may be shown: an id that could be
    anything, or is the person's, is told by the body. Times are in ms since 1970, and the same for
    an event whatever becomes of it. `organization_id` may be anything; `user_id` is the trimmed
    `organization_user_id`, personal data.
    """

    event_id: str
    updated_at_ms: int | None
    event_at_ms: int | None
    organization_id: str
    user_id: str


FactsOf = Callable[[Envelope, bytes, Deliver | None], EventFacts | None]
"""What receipts need of an event; None where none is written."""


def facts_of(envelope: Envelope, body: bytes, choice: Deliver | None) -> EventFacts:
    """The facts of an event for its receipts; `choice` is what it says to an integration, where
    that is known and so need not be read again.
    """
    kind, organization_id, _, said_id, entity, is_snapshot = envelope
    # Not by the digest of an event's id, as logs and the state: not all who write receipts have the
    # secret, and without it an id could be guessed.
    own_id: str = said_id if is_snapshot else entity.get("id") or ""
    event_id: str | None = own_id
    # Who knows the choice has read the event by `EventDecisions`, where the id of an event stays as
    # it is only if it may be told. To look once more would be a third of all that is done here.
    if choice is None or is_snapshot or own_id != said_id:
        event_id = shown_id(own_id)
        if event_id is None or is_called_as_person(event_id, entity):
            event_id = body_id(body)
    if choice is None:
        updated_at_ms = _time_in(entity, "updated_at")
        event_at_ms = updated_at_ms if is_snapshot else _time_in(entity, "created_at")
    elif is_snapshot:
        updated_at_ms = event_at_ms = choice.event_time_ms
    else:
        event_at_ms, updated_at_ms = choice.event_time_ms, choice.updated_at_ms
        # Of others it stands for their order, see `transform.tie_order`.
        if updated_at_ms is None or updated_at_ms < 0 or kind != "event.created":
            updated_at_ms = _time_in(entity, "updated_at") if "updated_at" in entity else None
    user = entity if is_snapshot else entity.get("user")
    user_id: Any = user.get("organization_user_id") if isinstance(user, dict) else None
    known = user_id.strip() if isinstance(user_id, str) else ""
    said = (event_id, updated_at_ms, event_at_ms, organization_id, known)
    return new_tuple(EventFacts, said)


def _time_in(entity: dict[str, Any], key: str) -> int | None:
    try:
        return optional_time(entity, key)
    except UndecodableEvent:
        return None
