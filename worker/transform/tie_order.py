"""Which of two choices with one event time is the newer, where no update tells it. Pure.

docs/ordering.md has the whole rule, of which `ordering.newest` is the other part.
"""

from __future__ import annotations

from typing import Final

from worker.events import ConsentRecord, Envelope
from worker.transform.decision_types import Deliver
from worker.transform.xdm_times import iso_time

_BEFORE_ANY_UPDATE: Final = -1
_AFTER_CREATION_MS: Final = 1


def order_of_update(envelope: Envelope, record: ConsentRecord) -> int | None:
    """What stands for the last update of an event, mostly its time in milliseconds since the epoch.

    A choice that is not confirmed yet comes before its confirmation. An `event.updated` comes after
    the `event.created` of the same event, whatever it tells, since `created_at` is that of both. Of
    a snapshot it is the version of the Didomi user: times of whole seconds do not tell two changes
    of one second apart.
    """
    if envelope.is_snapshot:
        return envelope.version
    if record.is_pending:
        return _BEFORE_ANY_UPDATE
    if envelope.kind == "event.updated":
        return max(
            record.updated_at_ms or _AFTER_CREATION_MS, record.event_time_ms + _AFTER_CREATION_MS
        )
    return record.updated_at_ms


def tie_break(envelope: Envelope, choice: Deliver) -> str:
    """By what `choice` is ordered among those of the same event time, for people."""
    if envelope.is_snapshot:
        version = envelope.version
        return "no version, so a refusal wins" if version is None else f"version {version}"
    if choice.updated_at_ms is None:
        return "no updated_at, so any change of the event is newer"
    if choice.updated_at_ms == _BEFORE_ANY_UPDATE:
        return "not confirmed, so its confirmation is newer"
    is_update = envelope.kind == "event.updated"
    if is_update and choice.updated_at_ms == choice.event_time_ms + _AFTER_CREATION_MS:
        return (
            "event.updated that does not tell when, so it is newer than the creation of the event; "
            "of several such changes nobody can tell the last one, and a refusal wins"
        )
    return f"updated_at {iso_time(choice.updated_at_ms)}"
