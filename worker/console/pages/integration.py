"""Why this integration? What it does, what Adobe says, and what its file says."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from worker.console.access import Role, required
from worker.console.advice import advice
from worker.console.charts.honouring import honour_chart
from worker.console.charts.outcomes import outcome_chart
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.formats import integration_page
from worker.console.masked_config import difference, masked_text
from worker.console.periods import PERIODS, period_of
from worker.console.rendering import BEAT, render
from worker.ledger.letter_group_list import letter_groups
from worker.ledger.receipt_sentences import sentence_for
from worker.ledger.stored_receipts import key_of_life, latest_receipts

_RECEIPTS: Final = 12
_GROUPS: Final = 8
_PATIENCE_SECONDS: Final = 8.0
_SILENT_MS: Final = 600_000
"""After so long without a receipt the page says whom to ask."""


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of an integration's page, and of its check."""
    return [
        web.get("/integrations/{id}", show),
        web.post("/integrations/{id}/check", check),
    ]


async def show(request: web.Request) -> web.Response:
    """Everything of one integration."""
    context, beat, period = request.app[CONTEXT], request[BEAT], period_of(request)
    integration = request.match_info["id"]
    row = await context.fleet.row(beat, period, integration)
    if row is None:
        raise web.HTTPNotFound
    traffic = await context.traffic.of(period, integration)
    receipts = await context.query(latest_receipts, integration, _RECEIPTS)
    groups = await context.query(letter_groups, _GROUPS, integration)
    model = context.integrations.get(integration)
    versions = await asyncio.to_thread(context.memory.versions, integration)
    now = context.now_ms()
    return render(
        request,
        "integration.html",
        row=row,
        to_do=advice(row, context.integrations.file_of(integration)),
        model=model,
        traffic=traffic,
        reasons=traffic.reasons,
        meaning=sentence_for,
        outcomes=outcome_chart(traffic.series, now, traffic.begins_ms),
        honouring=honour_chart(traffic.times, period.honour_slots(now)),
        receipts=receipts,
        is_quiet=not receipts or now - receipts[0].receipt.at >= _SILENT_MS,
        life_of=lambda receipt: key_of_life(receipt).hex(),
        groups=groups,
        config="" if model is None else masked_text(model, context.mask_key),
        versions=versions,
        changes=difference(versions[1].text, versions[0].text) if len(versions) > 1 else [],
        checked=context.checks.last(integration),
        is_checking=context.checks.is_running(integration),
        period=period,
        periods=PERIODS,
    )


@required(Role.OPERATOR)
async def check(request: web.Request) -> web.StreamResponse:
    """Check an integration at Adobe, and go back to its page; what takes longer goes on."""
    context, period = request.app[CONTEXT], period_of(request)
    integration = context.integrations.get(request.match_info["id"])
    if integration is None:
        raise web.HTTPNotFound
    await context.checks.run(integration, _PATIENCE_SECONDS)
    raise web.HTTPSeeOther(f"{integration_page(integration.id)}{period.query}#check")
