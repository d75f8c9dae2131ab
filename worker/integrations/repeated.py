"""Finds keys that an object of a JSON text has more than once, of which parsers keep one. Pure."""

from __future__ import annotations

import json
from typing import Any


class _Object(dict[str, Any]):
    """An object, and its keys that came again."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: list[str] = []
        if len(self) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen and key not in self.repeated:
                    self.repeated.append(key)
                seen.add(key)


def repeated_keys(text: bytes) -> list[tuple[str | int, ...]]:
    """The paths of repeated keys of a JSON text, at any depth, those further up first.

    What stands below a value that another one has replaced is not looked at. Raises RecursionError
    for a text that is nested too deep.
    """
    document = json.loads(text, object_pairs_hook=_Object)
    found: list[tuple[str | int, ...]] = []
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    for path, value in waiting:  # grows meanwhile
        if isinstance(value, _Object):
            found += [(*path, key) for key in value.repeated]
            waiting += [((*path, key), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), one) for index, one in enumerate(value)]
    return found
