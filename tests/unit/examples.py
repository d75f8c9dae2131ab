"""Example integrations and events for unit tests."""

from __future__ import annotations

from typing import Any

import orjson

from worker.events import Envelope, open_envelope
from worker.integrations.model import Integration

NOW_MS = 1_800_000_000_000


def integration_document(**changes: Any) -> dict[str, Any]:
    return {
        "id": "shop",
        "organization_id": "northwind",
        "type_id": "adobe-experience-cloud",
        "authentication": {"client_id": "c", "client_secret": "s3cret", "api_key": "k3y"},
        "properties": {
            "organization_id": "ABC@AdobeOrg",
            "dataflow_endpoint": "https://dcs.adobedc.net/collection/1",
            "dataflow_id": "flow",
            "schema_id": "https://ns.adobe.com/acme/schemas/1",
            "dataset_id": "dataset",
            "user_identifier": ["email"],
        },
        "mappings": [{"id": "_acme.news", "value": "consents_purposes_news_enabled"}],
        "upsert_mode": True,
    } | changes


def integration(**changes: Any) -> Integration:
    return Integration.model_validate(integration_document(**changes))


def event_document(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ev-1",
        "organization_id": "northwind",
        "created_at": "2026-03-02T08:15:30.120Z",
        "user": {"id": "device", "organization_user_id": "lena@northwind.example"},
        "consents": {"purposes": [{"id": "news", "enabled": True}]},
    } | changes


def envelope(**changes: Any) -> Envelope:
    return open_envelope(orjson.dumps(event_document(**changes)))
