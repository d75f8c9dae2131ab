"""Reading fields of an event strictly, and never quoting a value, which is personal data."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from worker.reasons import DeadReason

_FIRST_SECONDS: Final = datetime.min.replace(tzinfo=UTC).timestamp()
_END_SECONDS: Final = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp() + 1
"""An offset can put a time before the year 1 of UTC or after 9999, which nothing can write."""
_SECOND_60: Final = re.compile(r"(T\d\d:?\d\d:?)60(?=[.,Z+-])")

UndecodableReason = Literal[
    DeadReason.INVALID_EVENT, DeadReason.INVALID_JSON, DeadReason.UNKNOWN_TYPE
]
"""Why a body can't be read as an event."""


class UndecodableEvent(ValueError):
    """The body can't be read as a consent event.

    `reason` is the stable code of the dead letter, `field` the path of what is wrong (empty for
    the body as a whole). The text names the field and what is allowed there, never a value.
    """

    def __init__(self, reason: UndecodableReason, problem: str, field: str = "") -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.reason: UndecodableReason = reason
        self.field = field


class FlattenedEvent(UndecodableEvent):
    """Didomi was asked to flatten the body: keys are joined by a double underscore."""

    def __init__(self) -> None:
        super().__init__(
            DeadReason.INVALID_EVENT,
            "the body is flattened (keys joined by a double underscore); "
            "switch the flatten option of its producer off",
        )


def require_object(parent: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        problem = "is required" if value is None else "must be an object"
        raise UndecodableEvent(DeadReason.INVALID_EVENT, problem, where)
    return value


def optional_object(parent: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UndecodableEvent(DeadReason.INVALID_EVENT, "must be an object", where)
    return value


def list_of_objects(parent: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    value = parent.get(key)
    if value is None:
        return []
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, dict):
                break
        else:
            return value
    raise UndecodableEvent(DeadReason.INVALID_EVENT, "must be a list of objects", where)


def optional_text(parent: dict[str, Any], key: str, where: str) -> str | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, str):
        raise UndecodableEvent(DeadReason.INVALID_EVENT, "must be a string", where)
    return value


def optional_texts(
    parent: dict[str, Any], keys: tuple[str, str, str], prefix: str = ""
) -> tuple[str | None, str | None, str | None]:
    """The texts at three keys of an event, each as `optional_text` reads it, whose `where` is the
    key itself after `prefix`. One call for three, since every event has them.
    """
    get = parent.get
    first, second, third = keys
    values = (get(first), get(second), get(third))
    for value in values:
        if value.__class__ is not str and value is not None:
            for key in keys:
                optional_text(parent, key, prefix + key)
    return values


def optional_time(parent: dict[str, Any], key: str) -> int | None:
    """An event's ISO 8601 time with an offset, as milliseconds since the epoch."""
    text = parent.get(key)
    if text is None:
        return None
    if text.__class__ is not str:
        optional_text(parent, key, key)
    try:
        if not text.isprintable():  # Python's parser ends at a NUL
            raise ValueError
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = _rarely_written(text)
        if moment.tzinfo is None:
            raise ValueError
        seconds = moment.timestamp()
        if not _FIRST_SECONDS <= seconds < _END_SECONDS:
            raise ValueError
    except (ValueError, OverflowError):
        raise UndecodableEvent(
            DeadReason.INVALID_EVENT, "must be an ISO 8601 time with an offset", key
        ) from None
    return round(seconds * 1000)


def _rarely_written(text: str) -> datetime:
    """RFC 3339 allows small letters and, for a leap second, second 60; Python's parser neither."""
    text, leaps = _SECOND_60.subn(r"\g<1>59", text.upper())
    return datetime.fromisoformat(text) + timedelta(seconds=leaps)
