"""A test record, which is really written at Adobe: every choice refused, for one identity."""

from __future__ import annotations

import time

from worker.adobe.attempt import AdobeClient
from worker.adobe.check.example_values import refusals
from worker.adobe.check.report_lines import Line, ok, unclear, wrong
from worker.adobe.replies import Accepted, Permanent, Retryable
from worker.integrations.model import Integration
from worker.reasons import ErrorCode
from worker.transform.identity import possible_identities
from worker.transform.xdm_message import build_record


async def send_probe(client: AdobeClient, integration: Integration, identity: str) -> Line:
    """Send the test record for `identity`, which is personal data and in no line."""
    known = possible_identities(integration, identity)
    if not known:
        identifiers = ", ".join(integration.properties.user_identifier)
        return wrong("test-record", f"not sent: the identity is no {identifiers}")
    now_ms = int(time.time() * 1000)
    record = build_record(integration, refusals(integration, now_ms), known[0], now_ms)
    match await client.send_test(integration, record):
        case Accepted(transaction):
            text = f"accepted (transaction {transaction})" if transaction else "accepted"
            return ok("test-record", f"{text}; Adobe validates it later, see the flow's runs")
        case Retryable(ErrorCode.ENDPOINT_NOT_ALLOWED | ErrorCode.TOKEN_REFUSED, detail, _, _):
            return wrong("test-record", f"not sent; {detail}")
        case Permanent(_, detail, _, _) | Retryable(ErrorCode.ADOBE_REFUSED, detail, _, _):
            return wrong("test-record", f"refused; {detail}")
        case Retryable(_, detail, _, _):
            return unclear("test-record", f"no usable answer, so it may be written; {detail}")
        case _:
            return unclear("test-record", "no usable answer, so it may be written")
