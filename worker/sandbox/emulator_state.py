"""What the emulator knows: credentials, tokens, profiles, and every request that it got."""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from worker.sandbox.customer_organization import Organization
from worker.sandbox.faults import Fault, Faults

JOURNAL_ENTRIES: Final = 100_000
TOKEN_LIFETIME_SECONDS: Final = 86_399
"""What Adobe answers today (Adobe Developer Console, "Implementation guide")."""

NOT_FOUND_FORMS: Final = ("404", "empty-object", "empty-entity")
"""The specification says 404; samples in the documentation show an empty entity."""

BATCH_STATUS_KEYS: Final = ("statusCode", "status")
"""The tutorial has the first; adobe/experience-platform-streaming-connect saw the second live."""


@dataclass
class Profile:
    """One fragment of a profile: what one dataset says of one identity."""

    dataset_id: str
    identity: str
    record: dict[str, Any]


@dataclass
class SandboxState:
    """What the emulator knows, all in memory; `token_lifetime_seconds` is what new tokens live."""

    token_lifetime_seconds: int = TOKEN_LIFETIME_SECONDS
    not_found: str = NOT_FOUND_FORMS[0]
    batch_status_key: str = BATCH_STATUS_KEYS[0]
    credentials: dict[str, list[str]] = field(default_factory=dict)
    inlets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    tokens_issued: int = 0
    profiles: dict[tuple[str, str], Profile] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=JOURNAL_ENTRIES))
    under_way: Counter[str] = field(default_factory=Counter)
    most_under_way: Counter[str] = field(default_factory=Counter)
    """By Adobe's organization, sent messages and look-ups together."""
    faults: Faults = field(default_factory=Faults)
    organization: Organization = field(default_factory=Organization)

    def inject(self, **description: Any) -> Fault:
        """Stage a fault; the parameters are the fields of `Fault`. Raises `InvalidFault`."""
        return self.faults.inject(**description)

    @contextmanager
    def counted(self, organization: str) -> Iterator[None]:
        """A request of this organization is under way."""
        self.under_way[organization] += 1
        most = max(self.most_under_way[organization], self.under_way[organization])
        self.most_under_way[organization] = most
        try:
            yield
        finally:
            self.under_way[organization] -= 1

    def clear_faults(self, fault_id: str | None = None) -> None:
        """End all faults, also for the calls that hang; given an id, that fault ends alone."""
        self.faults.clear(fault_id)

    def issue_token(self) -> str:
        """A new access token, shaped like the JWT that Adobe issues."""
        token = f"eyJhbGciOiJSUzI1NiJ9.{secrets.token_urlsafe(24)}.{secrets.token_urlsafe(12)}"
        self.tokens[token] = time.monotonic() + self.token_lifetime_seconds
        self.tokens_issued += 1
        return token

    def token_is_valid(self, token: str) -> bool:
        return self.tokens.get(token, 0.0) > time.monotonic()

    def apply(self, dataset_id: str, identity: str, record: dict[str, Any], operation: str) -> None:
        """Store a record: `merge` patches, `create` replaces, `delete` removes.

        Adobe Experience Platform, "Sending partial row updates using data prep".
        """
        key = (dataset_id, identity)
        if operation == "delete":
            self.profiles.pop(key, None)
            return
        known = self.profiles.get(key)
        if operation == "merge" and known is not None:
            _merge(known.record, record)
        else:
            self.profiles[key] = Profile(dataset_id, identity, deepcopy(record))

    def find(self, identity: str) -> Profile | None:
        """Any fragment of the profile with this identity."""
        return next((one for one in self.profiles.values() if one.identity == identity), None)


STATE: web.AppKey[SandboxState] = web.AppKey("state", SandboxState)


def identity_of(record: dict[str, Any]) -> str | None:
    """The primary identity of a record, from the places that the worker can be told to use."""
    email = record.get("personalEmail")
    candidates = [
        email.get("address") if isinstance(email, dict) else None,
        record.get("personID"),
        record.get("_id"),
    ]
    identity_map = record.get("identityMap")
    if isinstance(identity_map, dict):
        for entries in identity_map.values():
            if isinstance(entries, list):
                candidates += [one.get("id") for one in entries if isinstance(one, dict)]
    return next((one for one in candidates if isinstance(one, str) and one), None)


def empty_paths(value: Any, path: str = "") -> list[str]:
    """Paths of nulls and empty values, which Adobe does not accept ("Basics of schema
    composition")."""
    if value is None or value in ("", []) or (value == {} and path):
        return [path]
    if isinstance(value, dict):
        return [hit for key, one in value.items() for hit in empty_paths(one, f"{path}/{key}")]
    if isinstance(value, list):
        return [hit for at, one in enumerate(value) for hit in empty_paths(one, f"{path}/{at}")]
    return []


def _merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        known = target.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        else:
            target[key] = deepcopy(value)
