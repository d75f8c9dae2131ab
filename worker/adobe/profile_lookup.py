"""The profile look-up: does Adobe know this contact? And for how long the answer is remembered.

Adobe Experience Platform, "Entities endpoint (Profile Access)".
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from worker.integrations.model import Integration
from worker.transform.decision_types import Identity

FOUND_SECONDS: Final = 300.0
NOT_FOUND_SECONDS: Final = 5.0
MAX_REMEMBERED: Final = 10_000
LOOK_UP_PATH: Final = "/data/core/ups/access/entities"


def lookup_params(integration: Integration, identity: Identity) -> dict[str, str]:
    """The query. `fields` asks for what is surely there, so that an empty entity means unknown."""
    params = {
        "schema.name": "_xdm.context.profile",
        "entityId": identity.value,
        "entityIdNS": identity.namespace or "",
        "fields": "identityMap" if identity.in_identity_map else f"{identity.path},identityMap",
    }
    if integration.merge_policy_id:
        params["mergePolicyId"] = integration.merge_policy_id
    return params


def platform_headers(integration: Integration, token: str) -> dict[str, str]:
    """The headers of Adobe's API gateway; without a sandbox name it is the production one."""
    return {
        "Authorization": f"Bearer {token}",
        "x-api-key": integration.authentication.api_key.get_secret_value(),
        "x-gw-ims-org-id": integration.properties.organization_id,
        "x-sandbox-name": integration.sandbox_name or "prod",
    }


class KnownContacts:
    """Remembers look-ups: found for minutes, not found for seconds. Holds hashes, no identities."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()

    def recall(self, integration: Integration, identity: Identity) -> bool | None:
        """Whether the contact exists, None when that is not known (any more)."""
        entry = self._known.get(self._key(integration, identity))
        if entry is None or entry[1] <= self._clock():
            return None
        return entry[0]

    def remember(self, integration: Integration, identity: Identity, exists: bool) -> None:
        """Keep an answer; the oldest one goes when there are too many."""
        key = self._key(integration, identity)
        seconds = FOUND_SECONDS if exists else NOT_FOUND_SECONDS
        self._known[key] = (exists, self._clock() + seconds)
        self._known.move_to_end(key)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    @staticmethod
    def _key(integration: Integration, identity: Identity) -> bytes:
        text = "\x00".join((integration.id, identity.namespace or "", identity.value))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()
