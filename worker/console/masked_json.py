"""JSON as lines for a page, in which nothing is shown that could tell of a person. Pure.

What is shown is listed here, and all else is masked: keys that Didomi's documents have, ids of the
choices, codes, times, true, false and null. A mask keeps the form of what it hides, not its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from worker.events import EVENT_KINDS
from worker.redaction import shown_id, shown_name

Path = tuple[str | int, ...]
"""Keys and places, from the document down."""

MOST_LINES: Final = 2_000
_MOST_DEPTH: Final = 40
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_KEYS: Final = frozenset(
    {
        "type",
        "parameters",
        "entity",
        "new_entity",
        "old_entity",
        "data",
        "id",
        "organization_id",
        "created_at",
        "updated_at",
        "version",
        "status",
        "regulation",
        "user",
        "organization_user_id",
        "organization_user_id_algorithm",
        "metadata",
        "country",
        "last_seen_country",
        "consents",
        "purposes",
        "vendors",
        "channels",
        "channel",
        "preferences",
        "values",
        "value",
        "enabled",
        "disabled",
        "enabled_li",
        "disabled_li",
        "tcfcs",
        "delegate",
        "name",
        "domain",
        "event",
        "email",
        "language",
        "proofs",
        "validation",
        "source",
    }
)
_CODES: Final = frozenset({"type", "status", "regulation"})
_TIMES: Final = frozenset({"created_at", "updated_at"})
_ID_LISTS: Final = frozenset({"enabled", "disabled", "enabled_li", "disabled_li"})


class Part(NamedTuple):
    """A piece of a line; one that `is_masked` stands for something else."""

    text: str
    is_masked: bool = False


class Line(NamedTuple):
    """`path` is that of the value which stands in it; a closing bracket has that of what it ends,
    and `is_leaf` is false for both brackets.
    """

    parts: tuple[Part, ...]
    path: Path
    is_leaf: bool


Shows = Callable[[Path, Any], bool]
"""Whether the value at a path, which is a text or a number, may be shown."""
ShowsKey = Callable[[Path, str], bool]
"""Whether a key of the object at a path may be shown."""


def event_lines(document: Any) -> list[Line]:
    """An event, as it came. The id of an entity is shown where it is that of an event: of `user.*`,
    and of what is nothing known, it is a person's at Didomi. Nor is it shown where somebody in the
    event is called the same.
    """
    is_event = _is_of_event(document)
    persons = frozenset(_persons(document))

    def shows(path: Path, value: Any) -> bool:
        if path[-1] == "id" and "consents" not in path and (not is_event or value in persons):
            return False
        return shows_of_event(path, value)

    return lines_of(document, shows, shows_key_of_event)


def _is_of_event(document: Any) -> bool:
    """Whether it is a webhook of `event.*`, or a consent event by itself."""
    if not isinstance(document, dict):
        return False
    if "type" not in document:
        return "user" in document and "consents" in document
    kind = document["type"]
    return (
        isinstance(kind, str) and kind.lower() in EVENT_KINDS and kind.lower().startswith("event.")
    )


def _persons(value: Any, depth: int = 0) -> Iterator[str]:
    """What persons are called in a document."""
    if isinstance(value, list):
        for one in value:
            yield from _persons(one, depth + 1) if depth < _MOST_DEPTH else ()
    if not isinstance(value, dict) or depth >= _MOST_DEPTH:
        return
    user = value.get("user")
    for called in (
        value.get("organization_user_id"),
        user.get("id") if isinstance(user, dict) else 0,
    ):
        if isinstance(called, str):
            yield called
    for one in value.values():
        yield from _persons(one, depth + 1)


def lines_of(document: Any, shows: Shows, shows_key: ShowsKey) -> list[Line]:
    """Any JSON; the end of one that is too long is left out, and a line says so."""
    lines: list[Line] = []
    for line in _lines(document, (), 0, (), (), shows, shows_key):
        if len(lines) >= MOST_LINES:
            lines.append(Line((Part("… and more", True),), (), False))
            break
        lines.append(line)
    return lines


def shows_of_event(path: Path, value: Any) -> bool:
    """What of an event tells of nobody."""
    if not isinstance(value, str):
        return False  # a number may be one that people call each other by
    key, parent = _name_at(path), _name_at(path[:-1])
    if key in _CODES:
        return shown_name(value) is not None
    if key in _TIMES:
        return _TIME.fullmatch(value) is not None
    if key == "organization_id":
        return (shown_id(value) or shown_name(value)) is not None
    if "consents" in path:
        is_id = key == "id" or (isinstance(path[-1], int) and parent in _ID_LISTS)
        return is_id and shown_name(value) is not None
    return key == "id" and "user" not in path and "delegate" not in path and bool(shown_id(value))


def shows_key_of_event(path: Path, key: str) -> bool:
    """Whether a key is one of Didomi's, or the id of a preference."""
    if path and path[-1] == "values" and "consents" in path:
        return shown_name(key) is not None
    return key in _KEYS


def masked(value: Any, key: str = "") -> str:
    """What stands for a value that is not shown."""
    if not isinstance(value, str):
        return "•••• (number)"
    if "@" in value:
        return "••••@••••.•• (e-mail)"
    return "•••• (id)" if key == "id" or key.endswith("_id") else "•••• (text)"


def _lines(
    value: Any,
    path: Path,
    depth: int,
    before: tuple[Part, ...],
    after: tuple[Part, ...],
    shows: Shows,
    shows_key: ShowsKey,
) -> Iterator[Line]:
    """`before` is the key that the value has, `after` a comma."""
    indent = Part("  " * depth)
    if isinstance(value, dict | list) and value and depth < _MOST_DEPTH:
        opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
        yield Line((indent, *before, Part(opening)), path, False)
        pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
        for number, (key, one) in enumerate(pairs):
            comma = () if number == len(pairs) - 1 else (Part(","),)
            name = _key(path, key, shows_key) if isinstance(key, str) else ()
            yield from _lines(one, (*path, key), depth + 1, name, comma, shows, shows_key)
        yield Line((indent, Part(closing), *after), path, False)
        return
    yield Line((indent, *before, *_leaf(value, path, shows), *after), path, True)


def _key(path: Path, key: str, shows_key: ShowsKey) -> tuple[Part, ...]:
    said = Part(_json(key)) if shows_key(path, key) else Part('"••••"', True)
    return (said, Part(": "))


def _leaf(value: Any, path: Path, shows: Shows) -> tuple[Part, ...]:
    if value is None or isinstance(value, bool):
        return (Part(_json(value)),)
    if isinstance(value, dict | list):
        empty = "{}" if isinstance(value, dict) else "[]"
        return (Part("…", True),) if value else (Part(empty),)
    if shows(path, value):
        return (Part(_json(value)),)
    said = masked(value, _name_at(path))
    return (
        (Part('"'), Part(said, True), Part('"')) if isinstance(value, str) else (Part(said, True),)
    )


def _name_at(path: Path) -> str:
    """The last key of a path."""
    return next((one for one in reversed(path) if isinstance(one, str)), "")


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
