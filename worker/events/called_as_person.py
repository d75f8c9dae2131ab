"""Whether an id says who somebody is: it does where the event calls its person the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_NAMES: Final = ("organization_user_id", "id")


def folded(text: str) -> str:
    """An id without what mappings and people take for no difference: blanks around it, and case."""
    return text.strip().casefold()


def names_of_user(user: object) -> Iterator[str]:
    """What the user of an event is called, at Didomi and by the customer. An address of e-mail is
    left out: no id that is shown has one.
    """
    if isinstance(user, dict):
        for one in _NAMES:
            said = user.get(one)
            if said.__class__ is str or said.__class__ is int:
                yield str(said)


def is_called_as_person(event_id: str, entity: dict[str, Any]) -> bool:
    """Whether the id of an event is what the event calls its person."""
    user = entity.get("user")
    if not isinstance(user, dict):
        return False
    called = event_id.strip().casefold()
    for one in _NAMES:  # as `names_of_user`, in a third of the time: each event is asked twice
        said = user.get(one)
        if said.__class__ is str:
            if said.strip().casefold() == called:
                return True
        elif said.__class__ is int and str(said) == called:
            return True
    return False
