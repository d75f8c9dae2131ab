"""Finds keys that an object of a JSON text has more than once, of which parsers keep one. Pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


class _Object(dict[str, Any]):
    """An object some of whose keys came again: these."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs)
        self.repeated = [key for key, count in counts.items() if count > 1]


def repeated_keys(text: bytes) -> list[tuple[str | int, ...]]:
    """The paths of repeated keys of a JSON text, at any depth, those further up first.

    What stands below a value that another one has replaced is not looked at. Raises RecursionError
    for a text that is nested too deep.
    """
    objects: list[_Object] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        plain = dict(pairs)
        if len(plain) == len(pairs):
            return plain
        objects.append(_Object(pairs))
        return objects[-1]

    document = json.loads(text, object_pairs_hook=made)
    if not objects:
        return []  # as in all sound files, which need no second look
    found: list[tuple[str | int, ...]] = []
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    for path, value in waiting:  # grows meanwhile
        if isinstance(value, _Object):
            found += [(*path, key) for key in value.repeated]
        if isinstance(value, dict):
            waiting += [((*path, key), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), one) for index, one in enumerate(value)]
    return found
