"""Example integrations and events for unit tests."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.examples import integration_document
from worker.events import Envelope, open_envelope
from worker.integrations.model import Integration

NOW_MS = 1_800_000_000_000
QUOTED = "what an event says of lena@a.example"
"""Of a fault, and not to be told."""


def integration(**changes: Any) -> Integration:
    """Of a raw inlet, unless the changes say otherwise."""
    return Integration.model_validate(integration_document(**{"payload_mode": "upsert"} | changes))


def event_document(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ev-1",
        "organization_id": "northwind",
        "created_at": "2026-03-02T08:15:30.120Z",
        "user": {"id": "device", "organization_user_id": "lena@northwind.example"},
        "consents": {"purposes": [{"id": "news", "enabled": True}]},
    } | changes


def snapshot(kind: str = "user.updated", **changes: Any) -> Envelope:
    """A whole status of a Didomi user; a field that is None is left out."""
    user = {
        "id": "device",
        "organization_id": "northwind",
        "organization_user_id": "lena@northwind.example",
        "version": 4,
        "created_at": "2025-11-20T10:00:00Z",
        "updated_at": "2026-03-02T08:15:30.120Z",
        "consents": {"purposes": [{"id": "news", "enabled": True}]},
    } | changes
    entity = {name: value for name, value in user.items() if value is not None}
    key = "new_entity" if kind.endswith(".updated") else "entity"
    return open_envelope(orjson.dumps({"type": kind, "parameters": {key: entity}}))


def envelope(**changes: Any) -> Envelope:
    return open_envelope(orjson.dumps(event_document(**changes)))
