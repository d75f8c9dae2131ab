"""Which lines of an event have led to which part of what is sent. Pure.

Nothing is worked out here by rules of its own: each text of the event is made another one once,
each other value left out, and the worker's own decision is asked again. What differs then came from
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from worker.console.event_places import Path
from worker.events import UndecodableEvent, open_envelope
from worker.integrations.model import Integration
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver

ORGANIZATION: Final = "A"
TIME: Final = "B"
PERSON: Final = "C"
MOST_VALUES: Final = 1_000
"""Each is a decision, of some 0.1 ms."""
_TIMES: Final = ("created_at", "updated_at")
_MARK: Final = "~"


class Tags(NamedTuple):
    """The tags of an event's lines: `attributes` numbers the attributes that are sent, from 1;
    `lines` says for the path of a value of the event which of these, or which letter, it led to.
    `is_whole` says whether all values were asked about.
    """

    attributes: Mapping[str, str]
    lines: Mapping[Path, str]
    is_whole: bool = True


NO_TAGS: Final = Tags({}, {})


def tags_of(
    document: Any,
    integration: Integration,
    now_ms: int,
    may_go_on: Callable[[], bool] = lambda: True,
) -> Tags:
    """The tags for an event, which is JSON; none where nothing is sent. Before each value it asks
    whether it `may_go_on`: a large event makes each of many decisions a long one.
    """
    whole = _decision(document, integration, now_ms)
    if whole is None:
        return NO_TAGS
    attributes = {target: str(number) for number, target in enumerate(whole.attributes, 1)}
    lines: dict[Path, str] = {}
    for count, path in enumerate(_leaves(document, ())):
        if count >= MOST_VALUES or not may_go_on():
            return Tags(attributes, lines, is_whole=False)
        tag = _tag(document, path, whole, attributes, integration, now_ms)
        if tag:
            lines[path] = tag
    return Tags(attributes, lines)


def _tag(
    document: Any,
    path: Path,
    whole: Deliver,
    attributes: Mapping[str, str],
    integration: Integration,
    now_ms: int,
) -> str:
    key = path[-1]
    is_of_the_event = len([one for one in path if isinstance(one, str)]) <= _ENTITY_DEPTH
    if key == "organization_id" and is_of_the_event:
        return ORGANIZATION
    left = _decision(_changed(document, path), integration, now_ms)
    if left is None:
        if key in _TIMES:
            return TIME if is_of_the_event else ""
        return _of_nothing(path, attributes)
    if left.identity.value != whole.identity.value:
        return PERSON
    if left.event_time_ms != whole.event_time_ms:
        return TIME
    gone = [
        tag
        for target, tag in attributes.items()
        if left.attributes.get(target, _ABSENT) != whole.attributes[target]
    ]
    return ", ".join(gone)


_ENTITY_DEPTH: Final = 3
"""`parameters`, `entity` and the key itself."""
_ABSENT: Final = object()


def _of_nothing(path: Path, attributes: Mapping[str, str]) -> str:
    """The tag of a value without which nothing is sent at all."""
    if "consents" in path:
        return ", ".join(attributes.values())
    return PERSON if "user" in path or path[-1] == "organization_user_id" else ""


def _decision(document: Any, integration: Integration, now_ms: int) -> Deliver | None:
    try:
        envelope = open_envelope(orjson.dumps(document))
    except (UndecodableEvent, orjson.JSONEncodeError):
        return None
    decision = decide(integration, envelope, now_ms)
    return decision if isinstance(decision, Deliver) else None


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(one, (*path, number))
    elif path:
        yield path


def _changed(value: Any, path: Path) -> Any:
    """A copy with another text there, or without what is no text."""
    first, rest = path[0], path[1:]
    copy: Any = list(value) if isinstance(value, list) else dict(value)
    if rest:
        copy[first] = _changed(value[first], rest)
    elif isinstance(value[first], str):
        copy[first] = value[first] + _MARK
    else:
        del copy[first]
    return copy
