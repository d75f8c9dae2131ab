"""What a snapshot says beside its choices: that others are taken back. Pure.

A snapshot is the whole status of one Didomi user, who is one device of a person mostly, under one
regulation. What it does not name any more that user has taken back, or its events were deleted.
"""

from __future__ import annotations

from typing import Any

from worker.events import Envelope
from worker.transform.decision_types import Deliver
from worker.transform.mapping_plan import Plan


def may_take_back(envelope: Envelope) -> bool:
    """Whether a snapshot says something though it names no choice. The first snapshot of a Didomi
    user has nothing to take back: a new device of a person starts with it.
    """
    return envelope.kind == "user.updated"


def has_choices(envelope: Envelope) -> bool:
    """Whether a snapshot names any choice, mapped or not. Its content must be judged before."""
    consents = envelope.entity.get("consents") or {}
    vendors = consents.get("vendors")
    return (
        any(map(_says_something, consents.get("purposes") or ()))
        or bool(consents.get("channels") or consents.get("tcfcs"))
        or (any(vendors.values()) if isinstance(vendors, dict) else False)
    )


def _says_something(purpose: dict[str, Any]) -> bool:
    said = (value for name, value in purpose.items() if name not in ("id", "metadata"))
    return any(value not in (None, [], {}) for value in said)


def with_snapshot(choice: Deliver, plan: Plan, envelope: Envelope) -> Deliver:
    """`choice` with what newest-wins needs of a snapshot. What it names, and its mapping can't
    write, is not taken back: it stays as it was.
    """
    absent = plan.absent_at(choice.event_time_ms)
    if choice.unusable:
        absent = {path: said for path, said in absent.items() if path not in choice.unusable}
    return choice._replace(
        didomi_user=f"{envelope.regulation} {envelope.entity['id']}",
        absent=absent,
        is_silent_if_unknown=envelope.entity.get("consents") is None,
    )
