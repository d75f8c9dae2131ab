"""A value on its way to Adobe that says more than itself. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

_REFUSAL_OBJECT: Final = {"val": "n"}
"""How the format `consent-val` writes false."""


class Sent(NamedTuple):
    """`value` is JSON as it is sent. `is_refusal`: whether the person's choice is a no, however it
    is written. Where there is a `time_path`, it gets `time_ms` (since the epoch): when the choice
    was made, always that of the value which is sent.

    Only what needs it is wrapped so: true, false and most other values stand for themselves.
    """

    value: Any
    is_refusal: bool
    time_path: str | None = None
    time_ms: int = 0


EMPTIED: Final = Sent(None, True)
"""The person has taken a choice back, and its mapping says nothing of that: it is remembered like a
refusal, and never sent."""


def is_silent(value: Any) -> bool:
    """Whether `value` is remembered and never sent."""
    return value.__class__ is Sent and value.value is None


def as_json(value: Any) -> Any:
    """What Adobe gets of it."""
    return value.value if isinstance(value, Sent) else value


def is_refusal(value: Any) -> bool:
    """Whether `value`, as a mapping has written it, says no."""
    if value is True or value is False:
        return not value
    return value.is_refusal if isinstance(value, Sent) else bool(value == _REFUSAL_OBJECT)
