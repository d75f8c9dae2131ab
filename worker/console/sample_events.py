"""Events of nobody, to try the explanation with. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

SAMPLE: Final[dict[str, Any]] = {
    "id": "ev-0001",
    "organization_id": "northwind",
    "created_at": "2026-03-02T08:15:30.120Z",
    "status": "confirmed",
    "user": {"id": "7b1d2c34", "organization_user_id": "lena@northwind.example"},
    "consents": {"purposes": [{"id": "newsletter", "enabled": True}]},
}
"""As `examples/event.json` has it, which is not where the console is installed."""


def sample_event(shape: str, organization: str) -> str:
    """A sample of an organization's event (\"\" for that of the example): `bare`, or in Didomi's
    `envelope`.
    """
    event = SAMPLE | ({"organization_id": organization} if organization else {})
    wrapped = {"type": "event.created", "parameters": {"entity": event}}
    return json.dumps(event if shape == "bare" else wrapped, indent=2)
