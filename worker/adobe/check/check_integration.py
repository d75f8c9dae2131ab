"""One check of one integration, from the token to the flow's runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from worker.adobe.access_tokens import TokenUnavailable
from worker.adobe.attempt import AdobeClient
from worker.adobe.check.customer_setup import SetUp
from worker.adobe.check.flow_rules import judge_flow, judge_inlet, judge_runs, judge_sandbox
from worker.adobe.check.identity_rules import judge_identities, judge_look_ups
from worker.adobe.check.mapping_rules import judge_mappings
from worker.adobe.check.platform_reads import Found, PlatformReader, Refused
from worker.adobe.check.question_order import collect
from worker.adobe.check.report_lines import Line, ok, unclear, wrong
from worker.adobe.check.target_rules import (
    judge_dataset,
    judge_identity_dataset,
    judge_profile,
    judge_required,
    judge_schema,
)
from worker.adobe.replies import Retryable
from worker.integrations.model import Integration
from worker.integrations.sections import DEFAULT_SCOPES
from worker.reasons import ErrorCode

_REST: Final = "nothing else could be asked without a token"


async def check_integration(
    client: AdobeClient, integration: Integration, reader: PlatformReader | None = None
) -> list[Line]:
    """A line for everything that can be known of the set-up. Reads only; never raises for what
    Adobe does.
    """
    try:
        await client.token(integration)
    except TokenUnavailable as error:
        return [*_secrets_masked(integration, [_no_token(error.reply), unclear("flow", _REST)])]
    now_ms = int(time.time() * 1000)
    found = await collect(reader or PlatformReader(client, integration), integration, now_ms)
    # In a thread: a large schema and many mappings take seconds, and deliveries go on beside.
    lines = await asyncio.to_thread(lambda: list(judge(integration, found)))
    return list(_secrets_masked(integration, [ok("token", "obtained"), *lines]))


def judge(integration: Integration, found: SetUp) -> Iterator[Line]:
    """All lines of a check but that of the token. Pure."""
    yield _scopes(integration, found)
    yield judge_sandbox(integration, found)
    yield from judge_flow(integration, found)
    yield from judge_inlet(integration, found)
    yield judge_dataset(integration, found)
    yield judge_schema(integration, found)
    yield from judge_profile(found)
    yield from judge_identity_dataset(integration, found)
    yield from judge_identities(integration, found)
    yield from judge_mappings(integration, found)
    yield from judge_required(integration, found)
    yield from judge_look_ups(integration, found)
    yield judge_runs(found)


def _no_token(reply: Retryable) -> Line:
    if reply.error != ErrorCode.TOKEN_REFUSED:
        return unclear("token", f"no answer of the token endpoint, ask again; {reply.detail}")
    if "invalid_scope" in reply.detail:
        return wrong("token", f"mend authentication.scopes; {reply.detail}")
    text = "mend authentication.client_id or authentication.client_secret"
    return wrong("token", f"{text}; {reply.detail}")


def _scopes(integration: Integration, found: SetUp) -> Line:
    """Adobe's page "Didomi source connector" lists the scopes. What reads without one needs it
    not; what is refused without one is refused for it, as far as can be told.
    """
    asked = {one.strip() for one in integration.authentication.scopes.split(",")}
    lacking = [one for one in DEFAULT_SCOPES.split(",") if one not in asked]
    if not lacking:
        return ok("scopes", "all that Experience Platform asks for")
    names = ", ".join(lacking)
    if isinstance(found.sandboxes, Found):
        return ok("scopes", f"the platform takes the token, though without {names}")
    if isinstance(found.sandboxes, Refused):
        return wrong("scopes", f"add {names} to authentication.scopes; {found.sandboxes.detail}")
    return unclear("scopes", f"without {names}, and the platform does not answer")


def _secrets_masked(integration: Integration, lines: list[Line]) -> Iterator[Line]:
    """A last guard: whatever a name in a reply says, no secret of the integration is in a line."""
    credentials = integration.authentication
    secrets = [
        *credentials.client_secrets(),
        credentials.api_key.get_secret_value(),
        credentials.client_id,
    ]
    for line in lines:
        text = line.text
        for secret in secrets:
            if len(secret) >= 8:  # shorter ones would mask words
                text = text.replace(secret, "***")
        yield Line(line.check, line.verdict, text, line.of)
