"""How much the mappings of an integration would read and write of one event. Pure.

An event is mapped in one piece, while all other customers wait, and lies in memory as it will be
sent. A value may be as long as the body allows, and a thousand mappings may name its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from worker.transform.format_rendering import UnusableValue, as_json

MOST_READ_BYTES: Final = 4_194_304
"""By all mappings together. To split as much at its commas takes some 20 ms of a core."""
MOST_WRITTEN_BYTES: Final = 65_536
"""By all mappings together, beside twice what the event itself has at their places."""
MOST_KEPT_BYTES: Final = 524_288
"""In the state, for whole records: each mapping keeps what stands at its place, beside twice what
the event itself has there. A hundred mappings may each look into five hundred selected values."""
_ENTRY_BYTES: Final = 50
"""What an entry of a list costs beside its characters, in memory and in time."""


class Uses(NamedTuple):
    """How many mappings name a place; how many of these write as much as they read; and how many
    keep it so that it can be written again, see `kept_sources`.
    """

    read: int
    written: int
    kept: int = 0


def light_characters(uses: Mapping[str, Uses]) -> int:
    """Texts of so many characters are not too much for these mappings, whatever is in them: their
    weight need not be worked out.
    """
    read = sum(one.read for one in uses.values())
    written = sum(one.written for one in uses.values())
    kept = sum(one.kept for one in uses.values())
    most = min(
        MOST_READ_BYTES // max(1, read),
        MOST_WRITTEN_BYTES // max(1, written),
        MOST_KEPT_BYTES // max(1, kept),
    )
    return most // (1 + _ENTRY_BYTES)


def check_weight(flat: Mapping[str, Any], uses: Mapping[str, Uses], light: int = 0) -> None:
    """Raises `UnusableValue` for values that are too much for an integration's mappings, naming the
    place of the longest one, and for a value that is nested too deeply to be written again. Texts
    of `light_characters` are passed over at once.
    """
    for value in flat.values():
        if value is True or value is False:
            continue
        if value.__class__ is not str or len(value) > light:
            _check_each(flat, uses)
            return


def _check_each(flat: Mapping[str, Any], uses: Mapping[str, Uses]) -> None:
    has = read = written = has_encoded = kept = longest = 0
    longest_place = ""
    for place, value in flat.items():
        if value is True or value is False:
            continue
        use = uses[place]
        try:
            weight = _weight(value)
            encoded = _encoded_bytes(value) if use.kept else 0
        except UnusableValue as error:
            raise UnusableValue(f"the value at {place} {error}") from None
        has += weight
        read += weight * use.read
        written += weight * use.written
        has_encoded += encoded
        kept += encoded * use.kept
        if weight * use.read > longest:
            longest, longest_place = weight * use.read, place
    if (
        read > MOST_READ_BYTES
        or written > MOST_WRITTEN_BYTES + 2 * has
        or kept > MOST_KEPT_BYTES + 2 * has_encoded
    ):
        raise UnusableValue(
            f"the value at {longest_place} is too long for the {uses[longest_place].read} mappings "
            "that name it"
        )


def written_bytes(attributes: Iterable[Any]) -> int:
    """About how many bytes of a message these attributes are, without what only their configuration
    makes long.
    """
    return sum(
        _weight(as_json(value)) for value in attributes if value is not True and value is not False
    )


def _weight(value: Any) -> int:
    """Raises `UnusableValue` for what can't be written as JSON."""
    if isinstance(value, str):
        return len(value) + _ENTRY_BYTES * value.count(",")
    if isinstance(value, list):
        return sum(map(_entry_bytes, value)) + _ENTRY_BYTES * len(value)
    if isinstance(value, dict):
        return _encoded_bytes(value) + _ENTRY_BYTES * len(value)
    return _ENTRY_BYTES


def _entry_bytes(entry: Any) -> int:
    if isinstance(entry, str):
        return len(entry)
    return _encoded_bytes(entry) if isinstance(entry, list | dict) else 0


def _encoded_bytes(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:  # which reads four times as many levels as it writes
        raise UnusableValue("is nested too deeply") from None
