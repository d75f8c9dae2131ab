"""The writer of receipts beside a broker: what waits, for how long, and what is dropped."""

from __future__ import annotations

import re
from functools import partial

import aio_pika
import pytest
from structlog.testing import capture_logs

from devtools.broker import RunningBroker
from devtools.ports import free_port
from devtools.receipts_read import records_of
from devtools.waiting import wait_until
from tests.integration.receipt_writing import Hand, fields, writing
from worker.broker.stream_consumer import NoStream
from worker.evidence.heading import read_message
from worker.evidence.receipt import ReceiptFields, read_receipt
from worker.receipts import receipt_writer, unsent_receipts


async def messages_in(url: str, namespace: str) -> list[tuple[str, list[str]]]:
    """Kind and events of each message of the stream."""
    found = [read_message(one.body) for one in await records_of(url, namespace)]
    return [
        (
            one.heading.kind,
            [read_receipt(row).event for row in one.rows if one.heading.kind == "receipts"],
        )
        for one in found
    ]


async def _has_begun(url: str, namespace: str) -> bool:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        try:
            await channel.declare_queue(f"{namespace}.receipts", passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False
    try:
        return await messages_in(url, namespace) == [("begin", [])]
    except NoStream:  # its replica is not there yet
        return False


async def test_many_receipts_go_in_one_message_and_a_lone_one_at_once(
    broker_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_writer, "FLUSH_SECONDS", 60.0)
    monkeypatch.setattr(receipt_writer, "AWAY_SECONDS", 60.0)
    hand = Hand()
    done: list[int] = []
    async with writing(broker_url, namespace, hand) as writer:
        await wait_until(lambda: _has_begun(broker_url, namespace), "a beginning")
        hand.messages = 3
        for number in range(3):
            writer.write(fields(number), partial(done.append, number))
        assert done == [], "none before its confirm"
        await wait_until(lambda: done == [0, 1, 2], "confirms")
        hand.messages = 1
        writer.write(fields(3), partial(done.append, 3))
        await wait_until(lambda: done == [0, 1, 2, 3], "a confirm, with nothing else in hand")
        assert writer.written == 4
        hand.messages = 1000
        writer.write(fields(4), partial(done.append, 4))
    assert done[-1] == 4, "a stop waits for no company"
    assert await messages_in(broker_url, namespace) == [
        ("begin", []),
        ("receipts", ["ev-0", "ev-1", "ev-2"]),
        ("receipts", ["ev-3"]),
        ("receipts", ["ev-4"]),
        ("state", []),
        ("end", []),
    ]


async def test_without_a_broker_nothing_waits_after_the_bound_and_what_is_dropped_is_counted(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_writer, "AWAY_SECONDS", 0.2)
    monkeypatch.setattr(receipt_writer, "END_SECONDS", 0.2)
    monkeypatch.setattr(unsent_receipts, "MOST_UNSENT", 5)
    done: list[int] = []
    url = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    async with writing(url, namespace, Hand()) as writer:
        writer.write(fields(0), partial(done.append, 0))
        assert done == []
        await wait_until(lambda: done == [0], "the bound")
        assert "nothing listens" in writer.trouble
        for number in range(1, 8):
            writer.write(fields(number), partial(done.append, number))
            assert done[-1] == number, "at once"
        assert writer.unreceipted.so_far() == {"shop": 3}
        assert writer.waiting == 5
    assert writer.unreceipted.so_far() == {"shop": 8}, "what was never written"
    assert writer.written == 0


async def test_a_stop_counts_nothing_that_somebody_still_waits_for(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_writer, "AWAY_SECONDS", 60.0)
    monkeypatch.setattr(receipt_writer, "END_SECONDS", 0.2)
    done: list[int] = []
    url = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    with capture_logs() as logs:
        async with writing(url, namespace, Hand()) as writer:
            writer.write(fields(0), partial(done.append, 0))
    assert done == [], "its event is not acknowledged, and comes again"
    assert writer.unreceipted.total == 0
    (ended,) = (one for one in logs if one["event"] == "receipts.not_ended")
    assert ended["unreceipted"] == 0


async def test_what_is_kept_is_bounded_in_bytes_and_each_reason_to_drop_is_told_once(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_writer, "AWAY_SECONDS", 0.2)
    monkeypatch.setattr(receipt_writer, "END_SECONDS", 0.2)
    monkeypatch.setattr(unsent_receipts, "MOST_UNSENT_BYTES", 100_000)
    large: ReceiptFields = fields(0) | {"attributes": {"a" * 15_000: True}}
    url = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    with capture_logs() as logs:
        async with writing(url, namespace, Hand()) as writer:
            writer.write(fields(1) | {"reason": "\ud800"}, lambda: None)
            for _ in range(20):
                writer.write(large, lambda: None)
            assert writer.waiting == 7, "the first that is beyond the bound is the last"
            assert writer.unreceipted.total == 1 + 13
    why = [one["detail"].partition(":")[0] for one in logs if one["event"] == "receipts.dropped"]
    assert why == ["a receipt has a text that is no UTF-8", "no room for more unsent receipts"]


async def test_who_may_configure_the_stream_and_write_to_the_default_exchange_has_all_rights(
    own_broker: RunningBroker, namespace: str
) -> None:
    own_broker.ctl("add_user", "writer", "secret")
    stream = rf"^{re.escape(namespace)}\.receipts$"
    own_broker.ctl("set_permissions", "writer", stream, stream, "^$")
    url = f"amqp://writer:secret@{own_broker.url.rpartition('@')[2]}"
    async with writing(url, namespace, Hand()) as writer:
        missing = "access to exchange 'amq.default'"
        await wait_until(lambda: missing in writer.trouble, "the reason")
        own_broker.ctl("set_permissions", "writer", stream, r"^amq\.default$", "^$")
        writer.write(fields(0), lambda: None)
        await wait_until(lambda: writer.written == 1, "a confirm")


async def test_what_was_kept_while_away_is_written_in_its_order(
    broker_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_writer, "AWAY_SECONDS", 0.2)
    async with await aio_pika.connect(broker_url) as connection:
        channel = await connection.channel()
        blocking = await channel.declare_queue(f"{namespace}.receipts", durable=True)
        monkeypatch.setattr("worker.receipts.stream_connection._UNUSABLE_SECONDS", 0.1)
        async with writing(broker_url, namespace, Hand()) as writer:
            await wait_until(lambda: "other arguments" in writer.trouble, "a refusal")
            for number in range(2500):
                writer.write(fields(number), lambda: None)
            await blocking.delete()
            await wait_until(lambda: writer.written == 2500, "all receipts")
            assert writer.trouble == ""
            assert writer.unreceipted.total == 0
    said = await messages_in(broker_url, namespace)
    assert [one for _, events in said for one in events] == [f"ev-{n}" for n in range(2500)]
    assert max(len(events) for _, events in said) == 1000
