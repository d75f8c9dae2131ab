"""What kind of choice an event says, for those who ask how soon a withdrawal is honoured. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

ChoiceKind = Literal["given", "withdrawn", "other"]
"""By the booleans that an integration maps: `withdrawn` when any of them is false, `given` when all
are true, `other` when there is none (a text, a list), or while the choice is not confirmed."""


def choice_kind(said: Mapping[str, Any], free: Collection[str], *, is_pending: bool) -> ChoiceKind:
    """The kind of a choice of which `said` has what the event says at each mapped place. The places
    `free` may hold anything, such as metadata: what stands there is no choice.
    """
    if is_pending:
        return "other"
    is_given = False
    for place, value in said.items():
        if value is False and place not in free:
            return "withdrawn"
        if value is True and place not in free:
            is_given = True
    return "given" if is_given else "other"
