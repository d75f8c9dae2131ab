"""The producer of a run of chaos goes on until all is confirmed, whatever ends a publishing."""

from __future__ import annotations

import asyncio

import pytest

from devtools.chaos import producer as module
from devtools.chaos.customers import draw, in_order_of_publishing
from devtools.chaos.producer import Producer
from worker.settings import WorkerSettings

EVENTS = in_order_of_publishing(1, draw(1, 100))


def producer() -> Producer:
    return Producer(WorkerSettings(), ("consent.events", "consent.events.2"), EVENTS, 0, print)


@pytest.mark.parametrize(
    "end",
    [asyncio.CancelledError, ConnectionResetError, TimeoutError],
    ids=lambda one: one.__name__,
)
async def test_what_was_not_confirmed_is_published_again(
    end: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[bytes] = []
    queues: set[str] = set()

    async def publish(_: object, body: bytes, queue: str) -> None:
        tried.append(body)
        queues.add(queue)
        if len(tried) <= 10:
            raise end

    monkeypatch.setattr(module._Line, "_publish", publish)
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0)
    run = producer()
    await run.run()
    assert run.confirmed.total() == len(EVENTS) == len(tried) - 10
    assert queues == {"consent.events", "consent.events.2"}
    assert set(run.confirmed) == {(customer.id, event.id) for customer, event in EVENTS}


async def test_a_mistake_of_ours_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def publish(_: object, body: bytes, queue: str) -> None:
        raise KeyError(body, queue)

    monkeypatch.setattr(module._Line, "_publish", publish)
    with pytest.raises(ExceptionGroup):
        await producer().run()
