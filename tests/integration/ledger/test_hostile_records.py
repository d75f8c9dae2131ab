"""Who may write to the stream can't break the ledger, nor add to it what no worker has written."""

from __future__ import annotations

from pathlib import Path

import orjson

from devtools.made_receipts import MadeWorker, receipt, state
from tests.integration.ledger.ledger_parts import ledger_stack
from worker.evidence.heading import MOST_BODY_BYTES

SECRET = "planted-secret-of-the-receipts"


async def test_garbage_of_all_kinds_is_passed_over(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    newer = MadeWorker().begin().replace(b'"v":1', b'"v":2')
    garbage = [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"v":1}',
        newer,
        b"\n" * 10_000,
        b"{" * 100_000,
        b"x" * (MOST_BODY_BYTES + 1),
        b"1" * 5_000 + b"\n{}",
    ]
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([worker.receipts([receipt()])])
        await stack.publish(garbage)
        many = {f"h{number}": number for number in range(2_000)}
        await stack.publish([worker.receipts([receipt()])], headers=many)
        await stack.publish([worker.receipts([receipt()])], headers={"x-stream-offset": "first"})
        code, said = await stack.read_once()
        assert code == 0, said
        assert stack.receipts == 3
        assert stack.findings == {"unreadable": len(garbage)}


async def test_rows_of_every_shape(broker_url: str, namespace: str, tmp_path: Path) -> None:
    worker = MadeWorker()
    strange = [
        receipt("\0", integration="a\0b", xaction="\0" * 9, attributes={"\0": None, "": True}),
        receipt("\U0001f600" * 64, organization="'; DROP TABLE receipts; --"),
        receipt("body:" + "0" * 32, at=2**53, due_at=2**53, event_at=0, outcome="parked"),
        receipt("x" * 256, user="not a hash", reason="no reason of ours", outcome="dead"),
    ]
    rows = [b"not json", b"{}", b'{"event":1}']
    chain = worker.chain
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish(
            [worker.receipts(strange), chain.message("receipts", rows, strange[0].at)]
        )
        code, said = await stack.read_once()
        assert code == 0, said
        assert stack.receipts == len(strange)
        assert stack.findings == {"unreadable": len(rows)}
        code, out, err = await stack.command("receipts", "find", "--event", "x" * 256, "--json")
        assert code == 0, err
        assert orjson.loads(out)["events"][0]["steps"][0]["reason"] == "no reason of ours"
        code, out, err = await stack.command("receipts", "export", "-")
        assert code == 0, err
        exported = [
            row["row"] for line in out.splitlines() for row in orjson.loads(line).get("rows", ())
        ]
        assert len(exported) == len(strange)
        assert "\\u0000" in exported[0], "a row is given as it came"
        assert (await stack.command("status"))[2] == ""


async def test_with_a_secret_only_its_messages_count(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    ours = MadeWorker("host:1", SECRET.encode())
    unsigned, other = MadeWorker("host:2"), MadeWorker("host:3", b"another")
    true = ours.receipts([receipt("ev-1")])
    changed = ours.receipts([receipt("ev-2")]).replace(b"ev-2", b"ev-3")
    forged = bytearray(ours.receipts([receipt("ev-4")]))
    forged[forged.index(b'"at":') + 6] ^= 1
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        stack.settings["RECEIPTS_SECRET"] = SECRET
        foreign = [unsigned.receipts([receipt("ev-5")]), other.receipts([receipt("ev-6")])]
        await stack.publish([true, true, changed, bytes(forged), *foreign])
        code, said = await stack.read_once()
        assert code == 0, said
        assert stack.receipts == 1
        assert stack.findings == {"changed": 1, "forged": 1, "foreign": 2}
        assert SECRET not in said
        assert "signed with none of the secrets" in said


async def test_one_number_is_used_once(broker_url: str, namespace: str, tmp_path: Path) -> None:
    worker = MadeWorker()
    first, second, third = (worker.receipts([receipt(f"ev-{n}")]) for n in range(3))
    twin = MadeWorker()
    twin.chain.id = worker.chain.id
    other = twin.receipts([receipt("ev-9")])
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish([first, third, second, second, other, worker.end()])
        await stack.publish([worker.receipts([receipt("ev-10")])])
        await stack.read_once()
        assert stack.receipts == 4
        assert stack.findings == {"removed": 1, "reordered": 1, "inserted": 1, "after-end": 1}


async def test_what_a_state_says_is_judged(broker_url: str, namespace: str, tmp_path: Path) -> None:
    worker = MadeWorker()
    words = "\x1b[2J" + "w" * 150
    lanes = [{"integration": "shop", "state": "failing", "held": 3, "error": "timeout"}]
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        rows = [
            b"[]",
            state(taken=-1),
            state(lanes=5),
            state(taken=5, settled=5, lanes=[lanes[0] | {"words": words}]),
            state(lanes=[{"integration": 1}]),
        ]
        await stack.publish([worker.state(row) for row in rows])
        await stack.read_once()
        _, out, err = await stack.command("status")
        assert "\x1b" not in out
        assert "integration shop is failing" in out, err
        assert "taken 5 = settled 5" in out
