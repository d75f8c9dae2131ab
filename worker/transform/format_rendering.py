"""How the value of a mapping is written: the steps of its format, put together beforehand, and what
a value on its way says beside itself. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from worker.integrations.attribute_mapping import Mapping
from worker.integrations.format_steps import CONTAINS
from worker.integrations.mapping_sources import kind_of
from worker.integrations.text_fields import DIGITS_LOST
from worker.transform.xdm_times import iso_time

_REFUSAL_OBJECT: Final = {"val": "n"}
"""How the format `consent-val` writes false."""


class Sent(NamedTuple):
    """What a mapping has written: `value` is JSON as it is sent. `is_refusal`: whether the person's
    choice is a no, however it is written. Where there is a `time_path`, it gets `time_ms` (since
    the epoch): when the choice was made, always that of the value which is sent.

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
    """Whether `value`, as a mapping has written it, is remembered and never sent."""
    return value.__class__ is Sent and value.value is None


def as_json(value: Any) -> Any:
    """What Adobe gets of `value`, as a mapping has written it."""
    return value.value if isinstance(value, Sent) else value


def is_refusal(value: Any) -> bool:
    """Whether `value`, as a mapping has written it, says no."""
    if value is True or value is False:
        return not value
    return value.is_refusal if isinstance(value, Sent) else bool(value == _REFUSAL_OBJECT)


Step = Callable[[Any], Any]
Render = Callable[[Any, int], Any]
"""From a value of the event and the time of its choice (milliseconds since the epoch) to what is
sent; None when there is nothing to say."""

_YES: Final = frozenset({"true", "yes", "y", "on", "1"})
_NO: Final = frozenset({"false", "no", "n", "off", "0"})
"""What Adobe's Data Prep takes for true and false ("Data format handling"), and digits."""
_CONSENT: Final = {True: "y", False: "n"}


class UnusableValue(ValueError):
    """A mapped place holds what can't be written as the mapping says. The text names no value."""


class UnwritableValue(UnusableValue):
    """A place of free data holds a list or an object, and its mapping writes none of that shape; or
    a number beyond 64 bits, which was read with fewer digits than the event has.
    """


def render_of(mapping: Mapping) -> Render | None:
    """How the value of `mapping` becomes what is sent; None where it is sent as it is."""
    kind = kind_of(mapping.value or "")
    is_plain = mapping.format == ["as-is"] and mapping.constant is None
    if is_plain and mapping.time_path is None and kind != "any":
        return None
    if is_plain and mapping.time_path is None:
        return _plain
    steps = list(mapping.format)
    opening = _opening(steps.pop(0)) if _is_opening(steps[0]) else None
    rest = [_step(one) for one in steps if one != "as-is"]
    if is_plain:
        rest.append(_single)
    constant, finish = mapping.constant, finish_of(mapping)

    def render(value: Any, time_ms: int) -> Any:
        said = value if opening is None else opening(value)
        says_no = said is False
        for step in rest:
            said = step(said)
        if said is None:
            return None
        return finish(said if constant is None else constant, says_no, time_ms)

    return render


def finish_of(mapping: Mapping) -> Callable[[Any, bool, int], Any]:
    """Adds the time of the choice to what is sent, and wraps what does not stand for itself."""
    name = mapping.time_name
    path = mapping.time_path if name is None else None

    def finish(said: Any, says_no: bool, time_ms: int) -> Any:
        if path is None and is_refusal(said) == says_no and name is None:
            return said  # it stands for itself
        if name is not None and isinstance(said, dict):
            said = said | {name: iso_time(time_ms)}
        return Sent(said, says_no, path, time_ms)

    return finish


def is_empty(value: Any) -> bool:
    """Whether nothing is selected in a value of an event: "", and [] or {} of free data."""
    return not value.strip(", \t\r\n") if isinstance(value, str) else value in ([], {})


def _is_opening(step: str) -> bool:
    return step == "boolean" or step.startswith(CONTAINS)


def _opening(step: str) -> Step:
    if step == "boolean":
        return _boolean
    wanted = step.removeprefix(CONTAINS).strip()
    return lambda value: wanted in _texts_in(value)


def _step(step: str) -> Step:
    return {
        "inverted": lambda value: not _really_boolean(value),
        "consent-val": lambda value: {"val": _CONSENT[_really_boolean(value)]},
        "y-n": lambda value: _CONSENT[_really_boolean(value)],
        "text": _text,
        "list": _list,
    }[step]


def _plain(value: Any, _time_ms: int) -> Any:
    """The commonest way to write what may be anything."""
    return value if value.__class__ is str else _single(value)


def _single(value: Any) -> Any:
    if isinstance(value, list | dict):
        raise UnwritableValue("is a list or an object")
    return _with_all_digits(value)


def _with_all_digits(value: Any) -> Any:
    if isinstance(value, float) and abs(value) >= DIGITS_LOST:
        raise UnwritableValue("is a number beyond 64 bits")
    return value


def _really_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    _single(value)
    raise UnusableValue("is neither true nor false: put the format boolean first")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else str(_single(value))
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise UnusableValue("is neither yes nor no, in whichever of the usual words")


def split_once(value: Any) -> Any:
    """What a step `contains:` takes in place of `value`, for many mappings that look into it. What
    it refuses stays as it is.
    """
    try:
        return _texts_in(value)
    except UnusableValue:
        return value


def _texts_in(value: Any) -> frozenset[str]:
    """What a step `contains:` finds in a value: texts, and numbers as texts; nothing that is empty,
    and no list or object inside of a list.
    """
    if isinstance(value, frozenset):
        return value
    if isinstance(value, bool):
        raise UnusableValue("is true or false, which contains nothing: take contains: out")
    entries = _entries(value) if isinstance(value, str | list) else [_single(value)]
    return frozenset(_text(one) or "" for one in entries if not isinstance(one, list | dict)) - {""}


def _entries(value: str | list[Any]) -> list[Any]:
    """The values of a V2 preference, which Didomi joins by commas, or those of a list."""
    return value if isinstance(value, list) else [one.strip() for one in value.split(",")]


def _list(value: Any) -> list[Any] | None:
    entries = _entries(value) if isinstance(value, str | list) else [value]
    kept = [one for one in entries if one is not None and one != ""]
    if any(isinstance(one, list | dict) for one in kept):
        raise UnwritableValue("is an object, or a list of objects or of lists")
    return [_with_all_digits(one) for one in kept] or None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return orjson.dumps(_with_all_digits(value)).decode()
    entries = _list(value)
    return None if entries is None else ",".join(str(_text(one)) for one in entries)
