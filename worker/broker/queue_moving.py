"""Moves all messages of one queue to another: confirmed there before they are taken off here, so a
crash leaves copies and loses none.
"""

from __future__ import annotations

from typing import Final

from aio_pika.abc import AbstractConnection

from worker.broker import headers as names
from worker.broker.bounded_tasks import InFlight
from worker.broker.dead_letter import describe
from worker.broker.headers import moved_headers_of
from worker.broker.held_letters import HeldLetter
from worker.broker.letter_reading import LetterReading
from worker.broker.republished import successor_of
from worker.wire.message_tap import TappedTransport

_AT_ONCE: Final = 200
_TIMEOUT_SECONDS: Final = 30.0


class QueueMoving:
    """Moves messages between queues by one connection, which `transport` has opened."""

    def __init__(self, connection: AbstractConnection, transport: TappedTransport) -> None:
        self._connection = connection
        self._transport = transport

    async def move(self, source: str, target: str, *, keeps_reasons: bool = False) -> int:
        """Move the messages that are in queue `source` now, and those that come meanwhile; how many
        these were. With `keeps_reasons` they are dead letters. Raises what the broker answers.
        """
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        moved = 0

        async def ready() -> int:
            declared = await channel.declare_queue(source, passive=True)
            return declared.declaration_result.message_count or 0

        async def hand_over(message: HeldLetter) -> None:
            own = moved_headers_of(message.headers)
            if keeps_reasons:
                # What the broker has said of it does not travel on.
                own[names.DEAD_REASON] = describe(message).reason
            publishing = await channel.get_underlay_channel()
            await publishing.basic_publish(
                message.body,
                routing_key=target,
                properties=successor_of(message.properties, own),
                mandatory=True,
                timeout=_TIMEOUT_SECONDS,
            )
            await message.acknowledge()

        while waiting := await ready():
            reading = LetterReading(self._connection, self._transport.splitter, source, ready)
            in_flight = InFlight(_AT_ONCE)
            try:
                async for message in reading.read(waiting, lambda one: one, lambda: False):
                    await in_flight.add(self._transport.while_connected(hand_over(message)))
                    moved += 1
            finally:
                await in_flight.drain()
            await reading.stop()
            await reading.give_back()
        await channel.close()
        return moved
