"""What does not add up is named, with whose it is and since when; what adds up is not."""

from __future__ import annotations

from pathlib import Path

from devtools.made_receipts import MadeWorker, made_now_ms, receipt, state
from devtools.waiting import wait_until
from tests.integration.ledger.ledger_parts import ledger_stack

HOUR_MS = 3_600_000


async def test_a_fleet_in_order_adds_up(broker_url: str, namespace: str, tmp_path: Path) -> None:
    worker, gone = MadeWorker("host:1"), MadeWorker("host:2")
    now = made_now_ms()
    events = [
        receipt("ev-1"),
        receipt("ev-2", outcome="retried", reason="timeout", due_at=now + 5_000),
        receipt("ev-3", outcome="skipped", reason="guest"),
        receipt("ev-4", outcome="retried", reason="adobe-unavailable", due_at=now - 1),
        receipt("ev-4", outcome="dead", reason="retries-exhausted", status=503, at=now + 1),
    ]
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish(
            [
                worker.receipts(events),
                worker.state(state(taken=7, settled=5, unreceipted={"shop": 2})),
                gone.state(state(taken=3, settled=3)),
                gone.end(),
            ]
        )
        stack.start_ledger()
        await stack.wait_for_receipts(len(events))
        await wait_until(lambda: len(stack.rows("SELECT 1 FROM chains")) == 2, "both chains")
        said = (await stack.status())["conservation"]
        assert said["adds_up"], said
        assert said["taken"] == {"taken": 10, "settled": 8, "in_hand": 2, "returned": 0}
        shares = {"delivered": 1, "skipped": 1, "dead": 1, "waiting": 1, "overdue": 0}
        assert said["integrations"] == {"shop": shares}
        assert said["unreceipted"] == {"shop": 2}
        groups = (await stack.status())["dead_letter_groups"]
        assert [(one["reason"], one["error"], one["letters"]) for one in groups] == [
            ("retries-exhausted", "adobe-unavailable", 1)
        ]


async def test_an_event_that_a_worker_has_lost_is_missed(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker, ended = MadeWorker("host:1"), MadeWorker("host:2")
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish(
            [
                worker.state(state(taken=7, settled=6)),
                worker.state(state(taken=9, settled=6, in_hand=2)),
                worker.state(state(taken=12, settled=11, in_hand=0)),
                ended.state(state(taken=9, settled=9, receipted=8)),
                ended.end(),
            ]
        )
        await stack.read_once()
        document = await stack.status()
        missing = document["conservation"]["missing"]
        assert [(one["where"], one["events"]) for one in missing] == [("host:1", 1), ("host:2", 1)]
        since = stack.rows("SELECT unbalanced_since FROM chains ORDER BY id")
        assert [one["since"] for one in missing] == [one for (one,) in since]
        code, out, _ = await stack.command("status")
        assert code == 1
        assert "MISSING: 1 event of host:1, since " in out


async def test_an_event_that_does_not_come_back_is_missed(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    then = made_now_ms() - HOUR_MS
    waiting = {"outcome": "parked", "reason": "lane-full", "at": then, "due_at": then + 1_000}
    lost, back = receipt("ev-1", **waiting), receipt("ev-2", **waiting)
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([worker.receipts([lost, back]), worker.state(state(2, 2))])
        await stack.publish([worker.receipts([receipt("ev-2")])])
        await stack.read_once()
        said = (await stack.status())["conservation"]
        assert said["missing"] == [
            {
                "events": 1,
                "where": "integration shop",
                "since": then + 1_000,
                "why": "waiting past the time it was due",
            }
        ]


async def test_what_a_killed_worker_had_in_hand_counts_as_returned(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    row = state(taken=9, settled=6)
    message = worker.chain.message("state", [row], made_now_ms() - HOUR_MS)
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([message])
        await stack.read_once()
        document = await stack.status()
        said = document["conservation"]
        assert said["adds_up"]
        assert said["taken"] == {"taken": 9, "settled": 6, "in_hand": 0, "returned": 3}
