"""The request of streaming ingestion. Pure.

Headers by Adobe's page "Create a streaming connection for raw data": a raw inlet needs
`x-adobe-flow-id`; the content type is JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from worker.integrations.model import Integration

MAX_REQUEST_BYTES: Final = 1_048_576
"""Adobe's hard limit of one request, however many messages it has (guardrails for ingestion)."""


class OutgoingMessage(NamedTuple):
    """One encoded message to Adobe, and the record in it."""

    body: bytes
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request of streaming ingestion without its authorization."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def build_request(integration: Integration, messages: Sequence[bytes]) -> OutgoingRequest:
    """The request that carries encoded messages: several go to the batch endpoint.

    The batch endpoint is the single one's with `/batch` after `/collection` (Adobe's page "Stream
    multiple messages").
    """
    headers = {
        "Content-Type": "application/json",
        "Cache-Control": "no-cache",
        "x-adobe-flow-id": integration.properties.dataflow_id,
    }
    if integration.sandbox_name:
        headers["x-sandbox-name"] = integration.sandbox_name
    url = integration.properties.dataflow_endpoint
    if len(messages) == 1:
        return OutgoingRequest("POST", url, headers, messages[0])
    body = b'{"messages":[' + b",".join(messages) + b"]}"
    return OutgoingRequest("POST", batch_url(url), headers, body)


def batch_url(dataflow_endpoint: str) -> str:
    """The batch endpoint that belongs to a single one."""
    return dataflow_endpoint.replace("/collection/", "/collection/batch/", 1)


def takes_batches(integration: Integration) -> bool:
    """Whether several messages of the integration may go in one request."""
    return (
        integration.limits.messages_per_request > 1
        and "/collection/" in integration.properties.dataflow_endpoint
    )


def masked_headers(integration: Integration, request: OutgoingRequest) -> dict[str, str]:
    """The headers of a request as they are sent, the authorization masked."""
    if not integration.authenticated:
        return dict(request.headers)
    return request.headers | {"Authorization": "Bearer ***"}


def shown_url(url: str) -> str:
    """The `url` of a request with its query masked, which may hold a key."""
    return re.sub(r"[?#].*", "?***", url, count=1, flags=re.DOTALL)
