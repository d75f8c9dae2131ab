"""What does not come in time may be there: the ledger takes no stream for another one by that."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from devtools.made_receipts import MadeWorker, receipt
from devtools.proxy import TcpProxy, through
from devtools.waiting import wait_until
from tests.integration.ledger.ledger_parts import ledger_stack

TOLD = "gives no record of the receipts' stream where some were read"


async def test_a_broker_that_is_slow_to_give_records_has_not_lost_them(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    at = urlsplit(broker_url)
    async with (
        ledger_stack(broker_url, namespace, tmp_path) as stack,
        TcpProxy(at.hostname or "", at.port or 0) as proxy,
    ):
        stack.settings["AMQP_URL"] = through(broker_url, proxy.port)
        await stack.publish([worker.begin(), *(worker.receipts([receipt()]) for _ in range(5))])
        assert (await stack.read_once())[0] == 0
        proxy.hold_deliveries()
        code, said = await stack.read_once()
        assert (code, TOLD in said) == (3, True), said
        stack.start_ledger()
        await wait_until(lambda: TOLD in stack.log_text(), "it is told", 60)
        assert (await stack.get("/readyz"))[0] == 503
        proxy.restore()
        await stack.publish([worker.receipts([receipt()])])
        await stack.wait_for_receipts(6)
        assert stack.findings == {}


async def test_a_stream_that_lost_its_end_is_known_by_what_is_written_next(
    broker_url: str, namespace: str, tmp_path: Path
) -> None:
    worker = MadeWorker()
    bodies = [worker.begin(), *(worker.receipts([receipt()]) for _ in range(5))]
    async with ledger_stack(broker_url, namespace, tmp_path) as stack:
        await stack.publish(bodies)
        assert (await stack.read_once())[0] == 0
        await stack.delete()
        await stack.declare()
        await stack.publish(bodies[:3])
        code, said = await stack.read_once()
        assert (code, TOLD in said) == (3, True), "a replica that is behind looks the same"
        assert stack.findings == {}
        await stack.publish([worker.receipts([receipt()])])
        code, said = await stack.read_once()
        assert code == 0, said
        assert stack.findings == {"recreated": 1}
        assert stack.receipts == 6
