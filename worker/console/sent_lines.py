"""What Adobe would get, as lines in which nothing tells of a person, each with the tag of what it
came from. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from worker.console.event_places import Path
from worker.console.highlighted_lines import PERSON, TIME, Tags
from worker.console.masked_json import Line, lines_of
from worker.integrations.model import Integration
from worker.integrations.xdm_paths import PERSON as PERSON_MARK
from worker.redaction import shown_name

_WORDS: Final = frozenset({"y", "n", "p", "u", "d", "true", "false", "yes", "no"})
"""Adobe's words for a choice, and how booleans are written."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_FRAME: Final = frozenset({"identityMap", "id", "primary"})


class SentLine(NamedTuple):
    """A line of what Adobe would get, and its tag, "" for none."""

    line: Line
    tag: str


def sent_lines(request: Mapping[str, Any], integration: Integration, tags: Tags) -> list[SentLine]:
    """The lines of the body of a request to Adobe, as `explain_event` has it."""
    record_at: Path = ("body", "xdmEntity") if "xdmMeta" in request["body"] else ("body",)
    known = _Known(integration)

    def shows(path: Path, value: Any) -> bool:
        if path[0] == "header" or path[:2] == ("body", "xdmMeta"):
            return True  # of the file alone
        return isinstance(value, str) and known.says(value)

    def shows_key(path: Path, key: str) -> bool:
        return not _is_below(record_at, (*path, key)) or key in known.names

    lines = lines_of(request, shows, shows_key)
    tagged: dict[Path, str] = {
        tuple(target.split(".")): tag for target, tag in tags.attributes.items()
    }
    places = {tuple(rule.path.split(".")) for _, rule in integration.identity_rules if rule.path}
    time_path = integration.event_time_path
    time_at = None if time_path is None else tuple(time_path.split("."))
    told = []
    for line in lines:
        inner = line.path[len(record_at) :]
        tag = ""
        if line.is_leaf and _is_below(record_at, line.path):
            tag = _tag(inner, tagged)
            is_in_map = inner[0] == "identityMap" and inner[-1] == "id"
            if not tag and (inner in places or is_in_map):
                tag = PERSON
            if not tag and inner == time_at:
                tag = TIME
        told.append(SentLine(line, tag))
    return told


def _is_below(above: Path, path: Path) -> bool:
    return path[: len(above)] == above and len(path) > len(above)


def _tag(inner: Path, tagged: Mapping[Path, str]) -> str:
    for end in range(len(inner), 0, -1):
        if inner[:end] in tagged:
            return tagged[inner[:end]]
    return ""


class _Known:
    """Names and words that the file of an integration has, and so no person."""

    def __init__(self, integration: Integration) -> None:
        paths = [target for one in integration.mappings for target in (one.id, one.time_path)]
        paths += [rule.path for _, rule in integration.identity_rules]
        paths.append(integration.event_time_path)
        names = {step for path in paths if path for step in path.split(".")}
        names |= {rule.namespace for _, rule in integration.identity_rules if rule.namespace}
        self._words = set(_WORDS)
        for one in integration.mappings:
            for fixed in (one.constant, one.pending, one.empty, one.absent):
                self._words |= set(_texts(fixed))
                names |= set(_keys(fixed))
        self.names = (names | _FRAME | {"val"}) - {PERSON_MARK}

    def says(self, value: str) -> bool:
        return value in self._words or _TIME.fullmatch(value) is not None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in _inside(value):
        yield from _texts(one)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (key for key in value if shown_name(key))
    for one in _inside(value):
        yield from _keys(one)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
