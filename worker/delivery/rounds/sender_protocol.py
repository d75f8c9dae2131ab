"""Who talks to Adobe for a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from worker.adobe.replies import Accepted, Permanent, Reply, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.integrations.model import Integration
from worker.transform.decision_types import Identity


class Sender(Protocol):
    """Talks to Adobe, and never raises for what Adobe or the network does."""

    async def look_up(self, integration: Integration, identity: Identity) -> Reply | None: ...

    async def look_up_record(
        self, integration: Integration, identity: Identity, paths: Sequence[str]
    ) -> Mapping[str, Any] | Reply: ...

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent: ...
