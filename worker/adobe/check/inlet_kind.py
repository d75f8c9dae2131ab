"""Asks Adobe for one thing alone: of which kind the inlet of an integration is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from worker.adobe.access_tokens import TokenUnavailable
from worker.adobe.attempt import AdobeClient
from worker.adobe.check.customer_setup import InletKind, SetUp, text_at
from worker.adobe.check.flow_rules import same_endpoint
from worker.adobe.check.platform_reads import Answer, Found, PlatformReader, Unanswered
from worker.adobe.check.question_order import collect_inlet
from worker.integrations.model import Integration
from worker.reasons import ErrorCode

_ASK_SECONDS: Final = 20.0
"""For two or three reads; who asks does so again."""


@dataclass(frozen=True, slots=True)
class Untold:
    """Adobe does not tell the inlet's kind to this credential, and will not before somebody changes
    something. `detail` is ours to show.
    """

    detail: str


async def ask_kind(
    client: AdobeClient, integration: Integration
) -> InletKind | Untold | Unanswered:
    """Of which kind the inlet is, by the customer's flow. Never raises for what Adobe does."""
    try:
        await client.token(integration)
    except TokenUnavailable as error:
        detail = f"no token: {error.reply.detail}"
        return (
            Untold(detail) if error.reply.error == ErrorCode.TOKEN_REFUSED else Unanswered(detail)
        )
    reader = PlatformReader(client, integration, seconds=_ASK_SECONDS)
    return kind_in(integration, await collect_inlet(reader, integration))


def kind_in(integration: Integration, found: SetUp) -> InletKind | Untold | Unanswered:
    """Of which kind the inlet is, as the flow and its connection tell. Pure.

    Only of a flow whose endpoint is the configured one: what is sent goes to that inlet, and a raw
    one takes a whole envelope with 200 and drops what is in it.
    """
    connection = found.connection
    if not isinstance(connection, Found):
        return _without(found.flow if not isinstance(found.flow, Found) else connection)
    url = text_at(connection.document, "auth", "params", "inletUrl")
    if not url:
        return Untold("the flow's connection tells no endpoint")
    if not same_endpoint(url, integration.properties.dataflow_endpoint):
        return Untold("the flow of dataflow_id has another endpoint than dataflow_endpoint")
    return found.inlet_kind or Untold("the flow does not tell whether its inlet is raw")


def _without(answer: Answer) -> Untold | Unanswered:
    """Any 404 may mean that the credential is not shown the flow."""
    if isinstance(answer, Unanswered) and answer.http_status != 404:
        return answer
    return Untold(getattr(answer, "detail", ""))
