"""The console's first page: is the fleet healthy?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from aiohttp import web

from worker.console.charts.honouring import honour_chart
from worker.console.charts.outcomes import outcome_chart
from worker.console.context import CONTEXT, ConsoleContext
from worker.console.fleet_lanes import HOLDING, lanes_of
from worker.console.fleet_troubles import Trouble
from worker.console.periods import PERIODS, period_of
from worker.console.rates import rate_now
from worker.console.rendering import BEAT, render
from worker.console.traffic import Traffic
from worker.console.unseen_withdrawals import unseen_of
from worker.ledger.open_withdrawals import AllOpenWithdrawals
from worker.ledger.overview import WAITING_NAMES, Overview

_MOST_TROUBLES: Final = 8
_MOST_WORKERS: Final = 50


def routes(_: ConsoleContext) -> list[web.RouteDef]:
    """The routes of the first page, and of the way to what is worst."""
    return [web.get("/", show), web.get("/worst", go_to_worst)]


async def show(request: web.Request) -> web.Response:
    """The verdict on the fleet, and what it is made of."""
    context, beat = request.app[CONTEXT], request[BEAT]
    if beat.told is None:
        return render(request, "overview_away.html")
    period = period_of(request)
    traffic = await context.traffic.of(period)
    withdrawals = await context.traffic.open_withdrawals()
    now = context.now_ms()
    return render(
        request,
        "overview.html",
        told=beat.told,
        troubles=beat.troubles[:_MOST_TROUBLES],
        more_troubles=max(0, len(beat.troubles) - _MOST_TROUBLES),
        period=period,
        periods=PERIODS,
        oldest=oldest_of(beat.told, withdrawals, beat.troubles),
        withdrawals=withdrawals,
        unseen=unseen_of(beat.told, withdrawals),
        traffic=traffic,
        rate=rate_of(traffic, now),
        held=held_events(beat.told, beat.troubles),
        outcomes=outcome_chart(traffic.series, now, traffic.begins_ms),
        honouring=honour_chart(traffic.times, period.honour_slots(now)),
        waiting=waiting_rows(beat.told),
        workers=beat.told.workers[:_MOST_WORKERS],
        more_workers=max(0, len(beat.told.workers) - _MOST_WORKERS),
    )


async def go_to_worst(request: web.Request) -> web.StreamResponse:
    """Where the verdict on the fleet leads."""
    raise web.HTTPSeeOther(request[BEAT].verdict.link or "/")


class Oldest(NamedTuple):
    """The oldest withdrawal that Adobe does not have: when it was made (ms since 1970), and where
    it is.
    """

    at: int
    where: str


_HOLDS_UP: Final = ("failing", "blocked", "invalid", "gone", "paused")


def oldest_of(
    told: Overview, withdrawals: AllOpenWithdrawals, troubles: Sequence[Trouble]
) -> Oldest | None:
    """The oldest withdrawal of those that wait and those that workers have in hand. `troubles` say
    what holds up an integration. Pure.
    """
    found = []
    if (in_hand := told.oldest_withdrawal_at) is not None:
        found.append(Oldest(in_hand, "in the hands of a worker"))
    if (waiting := withdrawals.oldest) is not None:
        states = [one.state for one in troubles if one.who == waiting[0]]
        state = next((one for one in states if one in _HOLDS_UP), "")
        why = f"which is {state}" if state else "waiting for its turn"
        found.append(Oldest(waiting[1], f"{waiting[0] or 'no integration'}, {why}"))
    return min(found, default=None)


def rate_of(traffic: Traffic, now_ms: int) -> float:
    """Receipts a second now. Pure."""
    series = traffic.series
    counts: list[int] = [sum(some) for some in zip(*series.receipts.values(), strict=True)]
    return rate_now(counts, series.slots, now_ms, traffic.begins_ms)


def held_events(told: Overview, troubles: Sequence[Trouble]) -> int:
    """How many waiting events are of integrations that are blocked, paused or gone. Pure."""
    shares = told.conservation.shares
    held = {one.integration for one in lanes_of(told).values() if one.state in HOLDING}
    held |= {one.who for one in troubles if one.state == "gone"}
    return sum(shares[one].waiting for one in held if one in shares)


class WaitingRow(NamedTuple):
    """How many waiting events are due then, and their share of all that wait, in percent."""

    name: str
    events: int
    share: float


def waiting_rows(told: Overview) -> list[WaitingRow]:
    """The events that wait, by when they are due. Pure."""
    highest = max(1, *told.waiting)
    return [
        WaitingRow(name, events, 100 * events / highest)
        for name, events in zip(WAITING_NAMES, told.waiting, strict=True)
    ]
