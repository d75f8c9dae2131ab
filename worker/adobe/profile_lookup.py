"""The profile look-up: does Adobe know this contact, what do its replies come to, and for how long
is an answer remembered?

Status codes and bodies: Adobe's page "Entities endpoint (Profile Access)" in Experience Platform's
documentation, and the specification profile of AdobeDocs/experience-platform-apis.

Adobe Experience Platform, "Entities endpoint (Profile Access)".
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from worker.adobe.failed_replies import MESSAGES_OWN_FAULT, asked_wait, failed, parsed
from worker.adobe.harmless_text import shown_words
from worker.adobe.replies import NoProfile, Permanent, Reply, Retryable
from worker.adobe.token_life import AccessToken
from worker.integrations.model import Integration
from worker.reasons import ErrorCode
from worker.transform.decision_types import Identity

_PROBLEM_TYPES: Final = ("http://ns.adobe.com/", "https://ns.adobe.com/")


def classify_lookup(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    key: bytes = b"",
    *,
    instead: str = "set upsert_mode to true",
) -> Reply | None:
    """The reply of the profile look-up; None means that the contact exists.

    "Not found" comes in three forms in Adobe's documents: 404 with `{"statusCode": "404"}`, `{}`,
    and an empty `entity` whose `sources` name no dataset. With one there is a contact, who has
    nothing of the fields that were asked for. A 404 or 200 that looks otherwise is somebody else's:
    that of a common gateway has the number 404 and a text beside it.

    `instead` says what else an operator can do where the look-up is refused. `key` is that of the
    fingerprints of what Adobe said.
    """
    document = parsed(body)
    if 200 <= status < 300 or status == 404:
        return _found(status, document)
    if status == 403:
        return Retryable(
            ErrorCode.LOOKUP_REFUSED,
            "the profile look-up was refused (it is licensed with Real-Time CDP Ultimate, and the "
            f"credential needs a role for it); grant it or {instead}. "
            + shown_words(status, document, key),
            status,
            asked_wait(headers, document),
        )
    if status in MESSAGES_OWN_FAULT:
        # 422 is said of a missing merge policy or of a graph with too many identities: settings.
        kind = Retryable if status == 422 else Permanent
        return kind(ErrorCode.LOOKUP_REJECTED, shown_words(status, document, key), status)
    return failed(status, headers, document, key, changes=False)


def _found(status: int, document: Any) -> NoProfile | Retryable | None:
    if isinstance(document, dict):
        if status == 404 and _is_adobes_not_found(document):
            return NoProfile()
        entries = [one if isinstance(one, dict) else {} for one in document.values()]
        if status == 200 and all(isinstance(one.get("entity"), dict) for one in entries):
            return None if any(map(_is_somebody, entries)) else NoProfile()
    return Retryable(
        ErrorCode.ADOBE_UNREADABLE, "the look-up's answer is not one of Adobe's", status
    )


def _is_somebody(entry: dict[str, Any]) -> bool:
    sources = entry.get("sources")
    return bool(entry["entity"]) or (isinstance(sources, list) and any(sources))


def _is_adobes_not_found(document: dict[str, Any]) -> bool:
    if document.get("statusCode") == "404" or document == {"statusCode": 404}:
        return True
    # Adobe's problem form, common to its services: its `type` is a URL of Adobe's.
    said = document.get("type")
    is_adobes = isinstance(said, str) and said.startswith(_PROBLEM_TYPES)
    return is_adobes and str(document.get("status")) == "404"


FOUND_SECONDS: Final = 300.0
NOT_FOUND_SECONDS: Final = 5.0
MAX_REMEMBERED: Final = 10_000
LOOK_UP_PATH: Final = "/data/core/ups/access/entities"


def lookup_params(integration: Integration, identity: Identity) -> dict[str, str]:
    """The query of the profile look-up. `fields` asks for what is surely there: Adobe's page shows
    the identityMap of profiles whose identity is a field, too. A path of ours is a field of XDM
    only where no mapping set is between.
    """
    has_field = integration.replaces_record and not identity.in_identity_map
    params = {
        "schema.name": "_xdm.context.profile",
        "entityId": identity.value,
        "entityIdNS": identity.namespace or "",
        "fields": f"{identity.path},identityMap" if has_field else "identityMap",
    }
    if integration.merge_policy_id:
        params["mergePolicyId"] = integration.merge_policy_id
    return params


def sandbox_of(integration: Integration) -> str:
    """The sandbox of the integration at Adobe: without a name it is the production one."""
    return integration.sandbox_name or "prod"


def platform_headers(integration: Integration, token: AccessToken | None) -> dict[str, str]:
    """The headers of Adobe's API gateway."""
    return {
        "Authorization": f"Bearer {token.value if token else ''}",
        "x-api-key": integration.authentication.api_key.get_secret_value(),
        "x-gw-ims-org-id": integration.properties.organization_id,
        "x-sandbox-name": sandbox_of(integration),
    }


class KnownContacts:
    """Remembers profile look-ups: found for minutes, not found for seconds. Holds hashes, no
    identities.

    An integration that is pointed to another organization, sandbox or merge policy is asked for
    anew: its contacts are others there.
    """

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
        """Keep an answer of a look-up; the oldest one goes when there are too many."""
        key = self._key(integration, identity)
        seconds = FOUND_SECONDS if exists else NOT_FOUND_SECONDS
        self._known[key] = (exists, self._clock() + seconds)
        self._known.move_to_end(key)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    @staticmethod
    def _key(integration: Integration, identity: Identity) -> bytes:
        place = (
            integration.id,
            integration.properties.organization_id,
            sandbox_of(integration),
            integration.merge_policy_id or "",
        )
        text = "\x00".join((*place, identity.namespace or "", identity.value))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()
