"""What kind of choice an event says, for those who ask how soon a withdrawal is honoured. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from worker.evidence.receipt import ChoiceKind


def choice_kind(said: Mapping[str, Any], free: Collection[str], *, is_pending: bool) -> ChoiceKind:
    """The kind of a choice of which `said` has what the event says at each mapped place. The places
    `free` may hold anything, such as metadata: what stands there is no choice.
    """
    if is_pending:
        return "other"
    kind: ChoiceKind = "other"
    for place, value in said.items():
        if value is False and place not in free:
            return "withdrawn"
        if value is True and place not in free:
            kind = "given"
    return kind
