"""The event that all contestants handle, and the mark in it by which the stub knows it again.

A mark is `t` (or `r` in an event that is retried), the microseconds since the epoch at which the
event was due to be published, `n`, and its number. It is the local part of the user's e-mail
address, so it reaches the stub in whatever is made of the event.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any, Final

MARK: Final = re.compile(rb"([tr])(\d{16})n(\d{8})@")
MARK_PLACE: Final = "t0000000000000000n00000000"
ID_PLACE: Final = "eeeeeeee"
"""The beginning of the event's id, a UUID as Didomi's are: a publisher puts a number there."""
ORGANIZATION_PLACE: Final = "org-0000"
MAPPINGS: Final = [
    {"id": "_acme.consents.emailMarketing", "value": "consents_purposes_email_marketing_enabled"},
    {"id": "_acme.consents.profiling", "value": "consents_purposes_profiling_enabled"},
    {"id": "_acme.loyaltyTier", "value": "metadata_loyalty_tier"},
]


def now_us() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def organization(number: int) -> str:
    """The id of a Didomi organization."""
    return f"org-{number:04}"


def event_body() -> bytes:
    """A consent event of ordinary size, with the two places that a publisher fills in."""
    made_at = datetime.now(UTC).isoformat()
    event: dict[str, Any] = {
        "id": f"{ID_PLACE}-1111-4222-8333-944455556666",
        "organization_id": ORGANIZATION_PLACE,
        "created_at": made_at,
        "updated_at": made_at,
        "status": "confirmed",
        "regulation": "gdpr",
        "domain": "preferences.acme.example",
        "user": {
            "id": "7b1d2c34-1111-4222-8333-944455556666",
            "organization_user_id": f"{MARK_PLACE}@acme.example",
            "metadata": {"loyalty_tier": "silver"},
            "country": "DE",
            "last_seen_country": "AT",
        },
        "consents": {
            "purposes": [
                {"id": "email_marketing", "enabled": True, "metadata": {}},
                {"id": "profiling", "enabled": False, "metadata": {}},
                {"id": "analytics", "enabled": None, "metadata": {}},
            ],
            "vendors": {"enabled": [], "disabled": []},
            "tcfcs": None,
        },
        "proofs_id": [],
        "metadata": {"form": "footer"},
    }
    return json.dumps(event, separators=(",", ":")).encode()
