"""Why this integration? What it does, what Adobe says, and what its file says."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from worker.console.access import Role, required
from worker.console.charts.honouring import honour_chart
from worker.console.charts.outcomes import outcome_chart
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.masked_config import difference, masked_text
from worker.console.periods import PERIODS, period_of
from worker.console.rendering import BEAT, render
from worker.ledger.letter_group_list import letter_groups
from worker.ledger.receipt_sentences import sentence_for
from worker.ledger.stored_receipts import key_of_life, latest_receipts
from worker.remedies import OF_ERRORS

_RECEIPTS: Final = 12
_GROUPS: Final = 8
_PATIENCE_SECONDS: Final = 8.0
_TO_DO: Final = {
    "paused": "Take `paused` out of its file, and it goes on by itself.",
    "invalid": "Mend its file; it is read again within seconds. Until then the version before it "
    "goes on, if there was one.",
    "gone": "Put the file back, or discard what waits for it.",
    "disabled": "Set `enabled` to true in its file, if it is to have events.",
}
_PASSES: Final = "Nothing, if it passes; else look at Adobe's status page and at the network."


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
        to_do=_TO_DO.get(row.state)
        or OF_ERRORS.get("" if row.lane is None else row.lane.error)
        or (_PASSES if row.state == "failing" else ""),
        model=model,
        traffic=traffic,
        reasons=traffic.reasons,
        meaning=sentence_for,
        outcomes=outcome_chart(traffic.series, now, traffic.begins_ms),
        honouring=honour_chart(traffic.times, period.honour_slots(now)),
        receipts=receipts,
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
    context = request.app[CONTEXT]
    integration = context.integrations.get(request.match_info["id"])
    if integration is None:
        raise web.HTTPNotFound
    await context.checks.run(integration, _PATIENCE_SECONDS)
    raise web.HTTPSeeOther(f"/integrations/{integration.id}#check")
