"""A channel that hands messages over as they come, without a task for each.

aiormq runs its consumers as tasks, each of which is kept in the books of channel and connection,
and that costs more than to read the message. Ours never waits for anything, so it is called
at once. If a later aiormq no longer asks the method that is overridden here, `basic_consume` still
has a consumer that does the same, only dearer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.exceptions import ChannelInvalidStateError
from pamqp.commands import Basic

from worker.broker.channels import TIMEOUT_SECONDS, ContentChannel


class DirectChannel(ContentChannel):
    """For one consumer, `deliver`, which must neither block nor raise."""

    deliver: Callable[[DeliveredMessage], None]

    async def consume(self, queue: str) -> str:
        """Start consuming; gives the consumer tag. Raises what the broker answers."""
        answer = await self.basic_consume(queue, self._deliver_later, timeout=TIMEOUT_SECONDS)
        return answer.consumer_tag or ""

    async def acknowledge(self, tags: Iterable[int]) -> None:
        """Acknowledge each of `tags` alone, all in one write. Raises when the channel is closed."""
        if self.is_closed:
            raise ChannelInvalidStateError("the channel is closed")
        frames = [Basic.Ack(delivery_tag=tag) for tag in tags]
        await self.write_queue.put(ChannelFrame.marshall(self.number, frames))

    async def _on_deliver_frame(self, frame: Basic.Deliver) -> None:
        header, body = await self.read_content()
        self.deliver(DeliveredMessage(delivery=frame, header=header, body=body, channel=self))

    async def _deliver_later(self, message: DeliveredMessage) -> None:
        self.deliver(message)
