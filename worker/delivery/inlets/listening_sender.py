"""Listens to what Adobe answers, where nothing else tells of which kind an inlet is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from worker.adobe.replies import Reply
from worker.adobe.streaming import OutgoingMessage
from worker.delivery.inlets.known_inlets import KnownInlets, Replies
from worker.delivery.rounds.sender_protocol import Sender
from worker.integrations.model import Integration
from worker.transform.decision_types import Identity


class ListeningSender:
    """`sender`, and what its replies tell of inlets. Nothing is sent in a mode that is not known:
    a raw inlet takes a whole envelope with 200 and drops it.
    """

    def __init__(self, sender: Sender, inlets: KnownInlets) -> None:
        self._sender = sender
        self._inlets = inlets
        self.look_up = sender.look_up

    async def look_up_record(
        self, integration: Integration, identity: Identity, paths: Sequence[str]
    ) -> Mapping[str, Any] | Reply:
        """What Adobe has of a person."""
        return await self._sender.look_up_record(integration, identity, paths)

    async def send(self, integration: Integration, messages: Sequence[OutgoingMessage]) -> Replies:
        """Send `messages` to Adobe in one request, unless the mode of their inlet is not known."""
        if integration.payload_mode == "auto":
            return self._inlets.unsent(integration)
        return self._inlets.heard(integration, await self._sender.send(integration, messages))
