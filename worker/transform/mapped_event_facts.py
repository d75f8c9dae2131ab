"""The event's own facts, as far as a mapping may name them. Pure.

They are looked at only for integrations that map some of them, and therefore judged only there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from worker.events import ConsentRecord, Envelope
from worker.transform.format_rendering import UnusableValue
from worker.transform.xdm_times import iso_time


def pairs_beyond(envelope: Envelope, record: ConsentRecord) -> Iterator[tuple[str, Any]]:
    """Place → value of an event's own facts. Raises `UnusableValue`, naming a field alone."""
    yield "created_at", iso_time(record.event_time_ms)
    if record.updated_at_ms is not None:
        yield "updated_at", iso_time(record.updated_at_ms)
    yield "regulation", envelope.regulation
    if not envelope.is_snapshot:  # whose id and metadata are the user's
        yield "event_id", envelope.entity["id"]  # that of the envelope may be a digest
        yield "status", "pending_approval" if record.is_pending else "confirmed"
        yield "domain", _text(envelope.entity, "domain", "domain")
        yield from _metadata("event_metadata", envelope.entity, "metadata")
        delegate = _object(envelope.entity, "delegate", "delegate")
        yield "delegate_id", _text(delegate, "id", "delegate.id")
        yield "delegate_name", _text(delegate, "name", "delegate.name")
        yield from _metadata("delegate_metadata", delegate, "delegate.metadata")
    consents = envelope.entity.get("consents") or {}
    yield "consents_tcfcs", _text(consents, "tcfcs", "consents.tcfcs")
    yield from _vendors(_object(consents, "vendors", "consents.vendors"))


def _vendors(vendors: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for suffix in ("", "_li"):
        for name, is_enabled in ((f"enabled{suffix}", True), (f"disabled{suffix}", False)):
            ids = vendors.get(name) or []
            if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
                raise UnusableValue(f"consents.vendors.{name}: must be a list of texts")
            for one in ids:
                yield f"consents_vendors_{one}_enabled{suffix}", is_enabled


def _metadata(prefix: str, parent: dict[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for key, value in _object(parent, "metadata", where).items():
        yield f"{prefix}_{key}", value


def _object(parent: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is not None and not isinstance(value, dict):
        raise UnusableValue(f"{where}: must be an object")
    return value or {}


def _text(parent: dict[str, Any], key: str, where: str) -> str | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, str):
        raise UnusableValue(f"{where}: must be a text")
    return value
