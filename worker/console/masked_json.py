"""JSON as lines for a page, in which nothing is shown that could tell of a person. Pure.

What is shown is listed here, and all else is masked: keys that Didomi's documents have, and at
their places ids of events and of choices, codes, times, true, false and null. A mask keeps the form
of what it hides, not its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from worker.console.event_places import (
    ID_LISTS,
    KEYS,
    Path,
    events_in,
    is_didomis,
    is_of_choices,
)
from worker.events import folded, names_of_user
from worker.redaction import shown_id, shown_name

MOST_LINES: Final = 2_000
_MOST_DEPTH: Final = 40
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_CODES: Final = frozenset({"type", "status", "regulation"})
_TIMES: Final = frozenset({"created_at", "updated_at"})


class Part(NamedTuple):
    """A piece of a line of masked JSON; one that `is_masked` stands for something else."""

    text: str
    is_masked: bool = False


class Line(NamedTuple):
    """A line of masked JSON: `path` is that of the value which stands in it; a closing bracket has
    that of what it ends, and `is_leaf` is false for both brackets.
    """

    parts: tuple[Part, ...]
    path: Path
    is_leaf: bool


Shows = Callable[[Path, Any], bool]
"""Whether the value at a path, which is a text or a number, may be shown."""
ShowsKey = Callable[[Path, str], bool]
"""Whether a key of the object at a path may be shown."""


def event_lines(document: Any) -> list[Line]:
    """The masked lines of an event, as it came. The id of an entity is shown where it is that of an
    event: of `user.*`, and of what is nothing known, it is a person's at Didomi. Nor is it shown
    where somebody in the event is called the same, as in the log and in receipts.
    """
    entities = events_in(document)
    persons = frozenset(_persons(document))

    def shows(path: Path, value: Any) -> bool:
        if not path or not isinstance(value, str):  # what stands there may be anything
            return False
        if path[-1] == "id" and not is_of_choices(path):
            return path[:-1] in entities and folded(value) not in persons and bool(shown_id(value))
        return shows_of_event(path, value)

    return lines_of(document, shows, shows_key_of_event)


def _persons(value: Any, depth: int = 0) -> Iterator[str]:
    """What persons are called in a document, without case and blanks around."""
    if isinstance(value, list):
        for one in value:
            yield from _persons(one, depth + 1) if depth < _MOST_DEPTH else ()
    if not isinstance(value, dict) or depth >= _MOST_DEPTH:
        return
    own = {"organization_user_id": value.get("organization_user_id")}
    for user in (own, value.get("user")):
        yield from map(folded, names_of_user(user))
    for one in value.values():
        yield from _persons(one, depth + 1)


def lines_of(document: Any, shows: Shows, shows_key: ShowsKey) -> list[Line]:
    """The masked lines of any JSON; the end of what is too long is left out, and a line says so."""
    lines: list[Line] = []
    for line in _lines(document, (), 0, (), (), shows, shows_key):
        if len(lines) >= MOST_LINES:
            lines.append(Line((Part("… and more", True),), (), False))
            break
        lines.append(line)
    return lines


def shows_of_event(path: Path, value: Any) -> bool:
    """What of an event tells of nobody, but for the id of an entity."""
    if not isinstance(value, str):
        return False  # a number may be one that people call each other by
    if not is_didomis(path):
        return False
    key, parent = _name_at(path), _name_at(path[:-1])
    if key in _CODES:
        return shown_name(value) is not None
    if key in _TIMES:
        return _TIME.fullmatch(value) is not None
    if key == "organization_id":
        return (shown_id(value) or shown_name(value)) is not None
    is_id = key == "id" or (isinstance(path[-1], int) and parent in ID_LISTS)
    return is_id and is_of_choices(path) and shown_name(value) is not None


def shows_key_of_event(path: Path, key: str) -> bool:
    """Whether a key in an event is one of Didomi's, or the id of a preference."""
    if path and path[-1] == "values" and is_of_choices(path):
        return shown_name(key) is not None
    return key in KEYS


def masked(value: Any, key: str = "") -> str:
    """What stands in masked JSON for a value that is not shown."""
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
