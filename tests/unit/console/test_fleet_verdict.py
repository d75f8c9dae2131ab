"""The one sentence: the worst first, and nothing that is old passes for new."""

from __future__ import annotations

import time
from typing import Any

from devtools.made_receipts import state
from worker.console.bad_files import BadFile
from worker.console.fleet_lanes import lanes_of
from worker.console.fleet_troubles import in_need, troubles_of
from worker.console.fleet_verdict import verdict_of
from worker.ledger.conservation import Missing, Shares, Tally, conserve
from worker.ledger.overview import Overview
from worker.ledger.records import Progress
from worker.ledger.worker_state import read_state

BAD = BadFile("organization_id: is required", "", lacks_secrets=False)
NOW = int(time.time() * 1000)


def _lane(integration: str, told: str, since: int = NOW - 5_000, **changes: Any) -> dict[str, Any]:
    usual = {"integration": integration, "state": told, "held": 2, "error": "", "since": since}
    return usual | changes


def _told(*workers: list[dict[str, Any]], alive_ago: int = 0, **changes: Any) -> Overview:
    tallies = [
        Tally(f"worker-{n}", "c" * 32, read_state(state(lanes=lanes)), NOW, False, 5, None)
        for n, lanes in enumerate(workers)
    ]
    shares = {"shop": Shares(delivered=5, dead=9, waiting=2)}
    usual = Overview(
        now=NOW,
        progress=Progress(1, 0, b"x", 9, b"y", NOW, NOW, NOW - alive_ago),
        workers=tallies,
        doors=[],
        waiting=[0, 0, 0, 0],
        failing=[],
        groups=[],
        letters=None,
        findings=[],
        conservation=conserve(tallies, shares, [], NOW),
        dead_letters={"shop": 3},
    )
    return usual._replace(**changes)


def _sentence(told: Overview, invalid: dict[str, BadFile] | None = None) -> str:
    return verdict_of(told, troubles_of(told, invalid or {})).sentence


def test_the_worst_of_all_workers_counts_and_what_they_hold_is_added() -> None:
    told = _told(
        [_lane("shop", "well"), _lane("travel", "slowed")],
        [_lane("shop", "failing", error="timeout", words="slow", since=NOW - 9_000)],
        [_lane("shop", "failing", since=NOW - 70_000)],
    )
    shop = lanes_of(told)["shop"]
    assert (shop.state, shop.held, shop.workers) == ("failing", 6, 3)
    assert (shop.error, shop.words, shop.since) == ("timeout", "slow", NOW - 70_000)
    (first, second) = troubles_of(told, {})
    assert (first.who, second.who) == ("shop", "travel")
    assert first.effect == "6 in hand, 2 waiting, 3 dead"


def test_the_order_of_what_is_wrong() -> None:
    lanes = [
        _lane("a", "paused"),
        _lane("b", "slowed"),
        _lane("c", "blocked", error="token-refused"),
        _lane("d", "failing", error="adobe-unavailable"),
        _lane("e", "well"),
        _lane("f", "of another version"),
    ]
    told = _told(lanes)
    missing = Missing(3, "worker-0", NOW - 1, "taken, and nowhere")
    lost = told._replace(conservation=told.conservation._replace(missing=[missing]))
    states = [one.state for one in troubles_of(lost, {"z": BAD})]
    assert states == ["missing", "failing", "blocked", "invalid", "slowed", "paused", "dead"]
    assert _sentence(lost) == "3 events of worker-0 do not add up."
    assert _sentence(told, {"z": BAD}) == "d is failing: Adobe answers 5xx."
    assert verdict_of(told, troubles_of(told, {})).because == "1 more integration needs you."


def test_what_is_gone_is_urgent_while_events_wait_for_it_and_is_named_once() -> None:
    told = _told([_lane("shop", "slowed"), _lane("press", "well", held=0), _lane("art", "failing")])
    found = troubles_of(told, {}, files=["zoo"])
    states = [(one.who, one.state) for one in found if one.state != "dead"]
    assert states == [("art", "failing"), ("shop", "gone")], "press has left nothing"
    assert in_need(found) == {"art", "shop"}
    assert [one.state for one in troubles_of(told, {}, files=None) if one.who == "shop"] == [
        "slowed"
    ], "nobody can tell"


def test_what_needs_nobody_does_not_alarm() -> None:
    told = _told([_lane("shop", "slowed"), _lane("travel", "paused")])
    verdict = verdict_of(told, troubles_of(told, {}))
    assert verdict.sentence == "Nothing needs you."
    assert verdict.because.startswith("shop is slowed: ")
    assert _sentence(_told([_lane("shop", "well")], dead_letters={})) == "All well."


def test_who_does_well_now_and_has_dead_letters_is_named() -> None:
    told = _told([_lane("shop", "well")])
    (shop,) = troubles_of(told, {})
    assert (shop.who, shop.effect, shop.needs_somebody) == ("shop", "3 dead", False)
    assert shop.link == "/dead-letters?integration=shop"
    assert _sentence(told) == "Nothing is urgent; 3 events lie dead."


def test_dead_letters_of_no_integration_are_named_and_not_all_is_well() -> None:
    told = _told([_lane("shop", "well")], dead_letters={"": 40})
    (nobodys,) = troubles_of(told, {}, files=["shop"])
    assert (nobodys.who, nobodys.effect, nobodys.needs_somebody) == (
        "no integration",
        "40 dead",
        False,
    )
    assert nobodys.link == "/dead-letters?integration=none"
    assert _sentence(told) == "Nothing is urgent; 40 events lie dead."
    assert in_need([nobodys]) == frozenset()


def test_withdrawals_that_were_given_up_come_after_what_is_urgent_and_before_the_rest() -> None:
    slowed = _told([_lane("shop", "slowed")])
    verdict = verdict_of(slowed, troubles_of(slowed, {}), 1)
    assert verdict.sentence == "1 withdrawal was given up: see whether it is still needed."
    assert verdict.because.startswith("shop is slowed: ")
    failing = _told([_lane("shop", "failing")])
    assert verdict_of(failing, troubles_of(failing, {}), 1).sentence.startswith("shop is failing")


def test_old_news_is_no_news() -> None:
    failing = [_lane("shop", "failing")]
    assert _sentence(_told(failing, alive_ago=60_000)) == "Nobody reads the receipts now."
    assert _sentence(_told(failing, progress=None)) == "No receipt has been read yet."
    assert _sentence(_told()) == "No worker is running."
