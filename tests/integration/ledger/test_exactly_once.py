"""The ledger reads each record exactly once, whatever happens to it, the stream or the file."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from devtools.broker import RunningBroker
from devtools.made_receipts import MadeWorker, many, receipt
from devtools.waiting import wait_until
from tests.integration.ledger.ledger_parts import LedgerStack, ledger_stack


def _messages(worker: MadeWorker, count: int, each: int, seed: int = 1) -> tuple[list[bytes], int]:
    """Messages of so many receipts, and how many these are."""
    receipts = list(many(count, seed, integrations=7))
    parts = [receipts[start : start + each] for start in range(0, len(receipts), each)]
    return [worker.begin(), *(worker.receipts(part) for part in parts)], len(receipts)


async def _wait_until_past(stack: LedgerStack, receipts: int) -> None:
    await wait_until(lambda: stack.receipts >= receipts, f"{receipts} receipts", 60)


async def test_what_is_published_is_in_the_ledger_and_can_be_found(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    bodies, count = _messages(worker, 2_000, 50)
    lost = receipt("ev-1", outcome="skipped", reason="no-profile")
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([*bodies, worker.receipts([lost])])
        code, said = await stack.read_once()
        assert code == 0, said
        assert stack.receipts == count + 1
        assert stack.findings == {}
        code, out, err = await stack.command("receipts", "find", "--event", "ev-1")
        assert code == 0, err
        assert "Adobe knows no such contact" in out
        code, said = await stack.read_once()
        assert stack.receipts == count + 1, "read again, and nothing twice"


@pytest.mark.timeout(240)
async def test_a_ledger_that_is_killed_time_and_again(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    chance = random.Random(14)
    worker = MadeWorker()
    bodies, count = _messages(worker, 20_000, 20)
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        half = len(bodies) // 2
        await stack.publish(bodies[:half])
        for aim in sorted(chance.sample(range(count // 3), 6)):
            ledger = stack.start_ledger()
            await _wait_until_past(stack, aim)
            ledger.kill()
            ledger.wait(10)
        await stack.publish(bodies[half:])
        stack.start_ledger()
        await stack.wait_for_receipts(count)
        assert stack.findings == {}
        events = stack.rows("SELECT COUNT(DISTINCT message_id * 10000 + place) FROM receipts")
        assert events == [(count,)]


async def test_two_ledgers_at_once(broker_url: str, namespace: str, tmp_path: Path) -> None:
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([MadeWorker().receipts([receipt()])])
        first = stack.start_ledger()
        await stack.wait_for_receipts(1)
        code, said = await stack.read_once()
        assert code == 2
        assert "another `consent-worker ledger` writes ledger.sqlite" in said
        code, said = await stack.read_once("--rebuild")
        assert code == 2
        assert stack.receipts == 1
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, 15) == 0
        assert (await stack.read_once())[0] == 0


async def test_a_stream_that_was_made_anew(broker_url: str, namespace: str, tmp_path: Path) -> None:
    worker = MadeWorker()
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([worker.begin(), *(worker.receipts([receipt()]) for _ in range(10))])
        stack.start_ledger()
        await stack.wait_for_receipts(10)
        await stack.delete()
        worker.receipts([receipt()])  # it was lost with the stream
        await stack.declare()
        await stack.publish([worker.receipts([receipt()]) for _ in range(5)])
        await stack.wait_for_receipts(15)
        assert stack.findings == {"recreated": 1, "removed": 1}
        assert (
            'consent_ledger_findings_total{kind="removed"} 1.0' in (await stack.get("/metrics"))[1]
        )


async def test_a_stream_that_lost_what_was_not_read(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.delete()
        await stack.declare(
            **{"x-max-length-bytes": 200_000, "x-stream-max-segment-size-bytes": 50_000}
        )
        await stack.publish([worker.begin(), worker.receipts([receipt()])])
        assert (await stack.read_once())[0] == 0
        events = [receipt() for _ in range(4_000)]
        for start in range(0, len(events), 100):
            part = events[start : start + 100]
            await stack.publish([worker.receipts([one]) for one in part])
        code, said = await stack.read_once()
        assert code == 0, said
        lost = 1 + len(events) - stack.receipts
        assert lost > 0
        # The broker has records of its own between those of workers.
        truncated = stack.findings["truncated"]
        assert stack.findings == {"truncated": truncated}, "retention is no manipulation"
        assert lost <= truncated < lost * 1.1
        code, out, _ = await stack.command("receipts", "find", "--event", events[0].event)
        assert code == 1
        assert f"{truncated} truncated" in out, "an event that was lost in a gap is told so"
        code, out, err = await stack.command("receipts", "verify")
        assert (code, "no manipulations" in out) == (0, True), out + err


async def test_a_ledger_is_rebuilt_from_the_stream(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    bodies, count = _messages(worker, 500, 10)
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish(bodies)
        await stack.read_once()
        lives = "SELECT hex(life), outcome, at FROM lives ORDER BY life"
        before = stack.rows(lives)
        stack.file.write_bytes(b"no database at all, " * 1000)
        code, said = await stack.read_once()
        assert code == 1
        assert "it is no SQLite file" in said
        code, said = await stack.read_once("--rebuild")
        assert code == 0, said
        assert (stack.receipts, stack.rows(lives)) == (count, before)


async def test_a_file_of_a_newer_version_stays_as_it_is(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([MadeWorker().receipts([receipt()])])
        await stack.read_once()
        with sqlite3.connect(stack.file) as file:
            file.execute("UPDATE version SET version = 99")
        for command in (("ledger", "--once"), ("status",), ("receipts", "find", "--event", "x")):
            code, out, err = await stack.command(*command)
            assert (code, "of a newer version (99" in out + err) == (2, True), command
        assert stack.rows("SELECT version FROM version") == [(99,)]


async def test_a_full_disk_loses_nothing(broker_url: str, namespace: str, tmp_path: Path) -> None:
    worker = MadeWorker()
    bodies, count = _messages(worker, 20_000, 100)
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish(bodies)
        full = stack.start_ledger(before="ulimit -f 2000")  # blocks of 512 bytes
        await wait_until(lambda: "ledger.not_written" in stack.log_text(), "a full disk", 60)
        assert "the ledger goes on where it was" in stack.log_text()
        assert full.poll() is None, "it waits until there is room"
        assert stack.receipts < count
        full.kill()
        full.wait(10)
        stack.start_ledger()
        await stack.wait_for_receipts(count)
        assert stack.findings == {}


async def test_a_locked_file_loses_nothing(broker_url: str, namespace: str, tmp_path: Path) -> None:
    worker = MadeWorker()
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([worker.begin(), worker.receipts([receipt()])])
        stack.start_ledger()
        await stack.wait_for_receipts(1)
        with sqlite3.connect(stack.file, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            await stack.publish([worker.receipts([receipt()])])
            await wait_until(lambda: "keeps it locked" in stack.log_text(), "the lock is told", 60)
            assert "consent_ledger_unwritten 1.0" in (await stack.get("/metrics"))[1]
            assert (await stack.get("/readyz"))[0] == 503
            other.execute("ROLLBACK")
        await stack.wait_for_receipts(2)
        await wait_until(partial(_is_well, stack), "the ledger is well")
        assert "consent_ledger_records_total 3.0" in (await stack.get("/metrics"))[1]


async def _is_well(stack: LedgerStack) -> bool:
    return (await stack.get("/readyz"))[0] == 200


async def test_without_a_stream_it_says_so_and_waits(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.delete()
        code, _ = await stack.read_once()
        assert code == 3
        stack.start_ledger()
        await wait_until(
            lambda: "there is no stream of receipts yet" in stack.log_text(), "it is said", 60
        )
        await stack.declare()
        await stack.publish([MadeWorker().receipts([receipt()])])
        await stack.wait_for_receipts(1)


@pytest.mark.timeout(240)
async def test_a_broker_that_restarts_is_read_on(
    own_broker: RunningBroker, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    bodies, count = _messages(worker, 2_000, 50)
    half = len(bodies) // 2
    async with ledger_stack(own_broker.url, namespace, tmp_path) as stack:
        await stack.publish(bodies[:half])
        stack.start_ledger()
        await _wait_until_past(stack, 1)
        await asyncio.to_thread(own_broker.restart)
        await wait_until(lambda: "ledger.stream_away" in stack.log_text(), "the loss is told", 60)
        # What is published while the stream still starts is lost, and who publishes is told.
        again = '"event":"ledger.reading"'
        await wait_until(lambda: stack.log_text().count(again) == 2, "the stream is there", 60)
        await stack.reconnect()
        await stack.publish(bodies[half:])
        await stack.wait_for_receipts(count)
        assert stack.findings == {}
        await wait_until(partial(_is_well, stack), "the ledger is well")
