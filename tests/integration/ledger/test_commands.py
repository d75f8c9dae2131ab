"""What people get by the commands: a person's choices, an auditor's file, the fleet's state."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import signal
import sys
from pathlib import Path
from typing import Any

import aio_pika
from pydantic import SecretStr
from yarl import URL

from devtools.made_receipts import MadeWorker, made_now_ms, receipt
from tests.integration.ledger.ledger_parts import LedgerStack, ledger_stack
from worker.ordering.month_keys import MonthKeys
from worker.settings import WorkerSettings
from worker.store_choice import lasting_store

ANNA = "anna-4711@northwind.example"
SECRET = "planted-secret-of-the-receipts"


async def _key_of(state_url: str, namespace: str, month: str) -> bytes:
    settings = WorkerSettings(state_url=SecretStr(state_url), namespace=namespace)
    store = lasting_store(settings, None, is_worker=False)
    assert store is not None
    keys: MonthKeys = store.month_keys
    try:
        return await keys.key_of(month, 3_600)
    finally:
        await store.close()


async def test_a_person_is_found_by_the_id_that_is_asked_for(
    broker_url: str, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    key = await _key_of(redis_url, namespace, "202611")
    user = f"202611:{hashlib.blake2b(ANNA.encode(), key=key, digest_size=16).hexdigest()}"
    events = [
        receipt("ev-1", user=user, outcome="skipped", reason="superseded"),
        receipt("ev-2", user=user, outcome="parked", reason="blocked", due_at=made_now_ms()),
        receipt("ev-3"),
    ]
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        stack.settings["STATE_URL"] = redis_url
        await stack.publish([worker.receipts(events)])
        await stack.read_once()
        code, out, err = await stack.command(
            "receipts", "find", "--user", stdin=f" {ANNA}\n".encode()
        )
        assert code == 0, err
        assert "ev-1 at integration shop: skipped" in out
        assert "ev-2 at integration shop: parked, waits until" in out
        assert "integrations check" in out, "what to do"
        assert "ev-3" not in out
        assert ANNA not in out + err
        code, out, _ = await stack.command(
            "receipts", "find", "--user", "--outcome", "parked", "--json", stdin=ANNA.encode()
        )
        assert [one["event"] for one in json.loads(out)["events"]] == ["ev-2"]
        code, out, _ = await stack.command(
            "receipts", "find", "--integration", "shop", "--since", "1h", "--json"
        )
        assert {one["event"] for one in json.loads(out)["events"]} == {"ev-1", "ev-2", "ev-3"}
        code, out, _ = await stack.command("receipts", "find", "--user", stdin=b"somebody else")
        assert (code, "no receipt of it" in out) == (1, True)


async def test_a_wrong_password_is_called_so_and_no_lost_connection(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        stack.settings["AMQP_URL"] = str(URL(broker_url).with_password("wr0ng"))
        code, out, err = await stack.command("ledger", "--once")
        assert (code, out) == (3, "")
        assert "RabbitMQ refuses the user or the password; check CONSENT_WORKER_AMQP_URL" in err
        assert "wr0ng" not in err


async def test_wrong_use_of_find_is_told(broker_url: str, namespace: str, tmp_path: Path) -> None:
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        for arguments, said in (
            ((), "--integration ID is needed"),
            (
                ("--event", "x", "--user"),
                "--integration ID is needed",
            ),
            (("--event", "x", "--outcome", "delivred"), "did you mean delivered?"),
            (("--event", "x", "--since", "yesterday"), "--since takes an age"),
            (("--event", "x"), "there is no ledger ledger.sqlite"),
            (("--user", ANNA), "unexpected extra argument"),
        ):
            code, out, err = await stack.command("receipts", "find", *arguments)
            assert code == 2, arguments
            assert said.lower() in " ".join((out + err).lower().replace("│", " ").split())
        await stack.publish([MadeWorker().begin()])
        await stack.read_once()
        code, _, err = await stack.command("receipts", "find", "--user", stdin=ANNA.encode())
        assert (code, "the workers' state is in memory" in err) == (2, True)
        stack.settings["LEDGER_URL"] = ""
        code, _, err = await stack.command("status")
        assert (code, "CONSENT_WORKER_LEDGER_URL: is not set" in err) == (2, True)
        stack.settings["LEDGER_URL"] = "postgresql://somewhere"
        code, _, err = await stack.command("status")
        assert (code, "must be sqlite://" in err) == (2, True)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _check(lines: list[dict[str, Any]]) -> int:
    """As an auditor does it, by what the file itself says; how many receipts were checked."""
    checked = 0
    before: dict[str, tuple[int, str]] = {}
    for line in lines:
        text = line["heading"]
        heading = json.loads(text)
        place = (heading["chain"], heading["sequence"])
        assert place == (line["chain"], line["sequence"])
        sequence, previous = before.get(heading["chain"], (-1, "0" * 64))
        assert (heading["sequence"], heading["previous"]) == (sequence + 1, previous)
        before[heading["chain"]] = (heading["sequence"], _sha256(text.encode()).hex())
        unsigned = text.replace(heading["mac"], "").encode()
        mac = hmac.new(SECRET.encode(), unsigned, "sha256").hexdigest()
        assert mac == heading["mac"]
        if "rows" in line:
            digests = [
                _sha256(row["row"].encode()) if "row" in row else bytes.fromhex(row["row_digest"])
                for row in sorted(line["rows"], key=lambda row: row["place"])
            ]
            assert _sha256(b"".join(digests)).hex() == heading["digest"]
            checked += sum("row" in row for row in line["rows"])
    return checked


async def test_an_auditor_checks_the_file_without_this_program(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker(secret=SECRET.encode())
    user = f"202611:{'a' * 32}"
    messages = [worker.begin()]
    for number in range(20):
        events = [
            receipt(f"ev-{number}-{n}", integration=f"shop-{n % 3}", user=user if n == 1 else None)
            for n in range(5)
        ]
        messages.append(worker.receipts(events))
    erased = receipt("gone", outcome="erased", user=user, integration="", attributes={})
    messages += [worker.receipts([erased]), worker.end()]
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        stack.settings["RECEIPTS_SECRET"] = SECRET
        await stack.publish(messages)
        await stack.read_once()
        for options, count in (((), 81), (("--integration", "shop-0"), 40)):
            file = tmp_path / "export.jsonl"
            code, out, err = await stack.command(
                "receipts", "export", str(file), "--force", *options
            )
            assert code == 0, err
            assert f"exported {count} receipts" in out
            assert file.stat().st_mode & 0o777 == 0o600
            about, *lines, total = map(json.loads, file.read_text().splitlines())
            assert "SHA-256" in about["how_to_check"]
            assert total == {"messages": len(messages), "receipts": count}
            assert _check(lines) == count
            assert "ev-3-1" not in file.read_text(), "an erased person's"


async def _anchors(stack: LedgerStack, url: str) -> list[dict[str, Any]]:
    """The rows of the anchors in the stream."""
    rows = []
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=100)
        queue = await channel.get_queue(stack.queue)
        async with queue.iterator(arguments={"x-stream-offset": "first"}, timeout=5) as messages:
            async for message in messages:
                heading, *lines = message.body.split(b"\n")
                await message.ack()
                rows += [json.loads(one) for one in lines if b'"kind":"anchor"' in heading]
                if b'"kind":"end"' in heading:
                    return rows
    raise AssertionError("the ledger's chain has an end")


async def test_the_ledger_writes_the_heads_of_all_chains_back(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    last = worker.receipts([receipt()])
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([last])
        ledger = stack.start_ledger()
        await stack.wait_for_receipts(1)
        ledger.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(ledger.wait, 15) == 0
        (anchor,) = await _anchors(stack, broker_url)
        heading = last.partition(b"\n")[0]
        assert anchor["chain"] == worker.chain.id
        assert anchor["heading"] == hashlib.sha256(heading).hexdigest()
        # Its own chain is a chain, too, and no worker's.
        assert (await stack.read_once())[0] == 0
        assert stack.findings == {}
        assert stack.rows("SELECT COUNT(*), SUM(is_worker) FROM chains") == [(2, 1)]


async def test_status_is_shown_again_and_again(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([MadeWorker().receipts([receipt()])])
        await stack.read_once()
        watching = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "status", "--watch", "--json"),
            env=stack.env,
            stdout=asyncio.subprocess.PIPE,
        )
        assert watching.stdout is not None
        for _ in range(2):
            text = b""
            while not text.endswith(b"\n}\n"):
                text += await watching.stdout.readline()
            assert json.loads(text)["conservation"]["total"]["delivered"] == 1
        watching.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(watching.wait(), 10) == 1, "no ledger runs"
