"""An integration as a customer's file has it, for whoever needs one."""

from __future__ import annotations

from typing import Any


def integration_document(**changes: Any) -> dict[str, Any]:
    """A valid integration, and what is changed in it."""
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
