"""How much the mappings of an integration would read and write of one event. Pure.

An event is mapped in one piece, while all other customers wait, and lies in memory as it will be
sent. A value may be as long as the body allows, and a thousand mappings may name its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from worker.transform.format_rendering import UnusableValue, as_json

MOST_READ_BYTES: Final = 4_194_304
"""By all mappings together. To split as much at its commas takes some 20 ms of a core."""
MOST_WRITTEN_BYTES: Final = 65_536
"""By all mappings together, beside twice what the event itself has at their places."""
_ENTRY_BYTES: Final = 50
"""What an entry of a list costs beside its characters, in memory and in time."""


class Uses(NamedTuple):
    """How many mappings name a place, and how many of these write as much as they read."""

    read: int
    written: int


def light_characters(uses: Mapping[str, Uses]) -> int:
    """Texts of so many characters are not too much for these mappings, whatever is in them: their
    weight need not be worked out.
    """
    read = sum(one.read for one in uses.values())
    written = sum(one.written for one in uses.values())
    most = min(MOST_READ_BYTES // max(1, read), MOST_WRITTEN_BYTES // max(1, written))
    return most // (1 + _ENTRY_BYTES)


def check_weight(flat: Mapping[str, Any], uses: Mapping[str, Uses], light: int = 0) -> None:
    """Raises `UnusableValue`, which names the place of the longest value, for what is too much.
    Texts of `light_characters` are passed over at once.
    """
    for value in flat.values():
        if value is True or value is False:
            continue
        if value.__class__ is not str or len(value) > light:
            _check_each(flat, uses)
            return


def _check_each(flat: Mapping[str, Any], uses: Mapping[str, Uses]) -> None:
    has = read = written = longest = 0
    longest_place = ""
    for place, value in flat.items():
        if value is True or value is False:
            continue
        weight = _weight(value)
        use = uses[place]
        has += weight
        read += weight * use.read
        written += weight * use.written
        if weight * use.read > longest:
            longest, longest_place = weight * use.read, place
    if read > MOST_READ_BYTES or written > MOST_WRITTEN_BYTES + 2 * has:
        raise UnusableValue(
            f"the value at {longest_place} is too long for the {uses[longest_place].read} mappings "
            "that name it"
        )


def written_bytes(attributes: Iterable[Any]) -> int:
    """About how many bytes of a message these are, without what only their configuration makes
    long.
    """
    return sum(
        _weight(as_json(value)) for value in attributes if value is not True and value is not False
    )


def _weight(value: Any) -> int:
    if isinstance(value, str):
        return len(value) + _ENTRY_BYTES * value.count(",")
    if isinstance(value, list):
        texts = sum(len(one) for one in value if isinstance(one, str))
        return texts + _ENTRY_BYTES * len(value)
    return _ENTRY_BYTES * (len(value) if isinstance(value, dict) else 1)
