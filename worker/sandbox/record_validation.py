"""Validation after the answer: what a record must be for its schema, and who it is about.

Adobe Experience Platform, "Streaming ingestion validation" (range, presence, enum, pattern, type,
format; "extraneous key"), "Field constraints" (`enum` is enforced, `meta:enum` alone is not) and
"Basics of schema composition" (identityMap; no nulls).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "boolean": bool,
    "string": str,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
}


def violations(schema: dict[str, Any], record: Any, path: str = "#") -> Iterator[tuple[str, str]]:
    """Code and sentence of everything in `record` that `schema` does not allow."""
    kind = schema.get("type", "object" if "properties" in schema else None)
    if kind in _TYPES and not _is_of(record, str(kind)):
        yield "DCVS-1104-400", f"{path}: expected type: {kind}"
        return
    allowed = schema.get("enum")
    if isinstance(allowed, list) and record not in allowed:
        yield "DCVS-1106-400", f"{path}: is not a valid enum value"
    if isinstance(record, dict):
        yield from _violations_inside(schema, record, path)
    if isinstance(record, list) and isinstance(schema.get("items"), dict):
        for number, one in enumerate(record):
            yield from violations(schema["items"], one, f"{path}/{number}")


def _violations_inside(
    schema: dict[str, Any], record: dict[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    properties = schema.get("properties")
    rest = schema.get("additionalProperties")
    for name, value in record.items():
        inner = properties.get(name) if isinstance(properties, dict) else None
        if isinstance(inner, dict):
            yield from violations(inner, value, f"{path}/{name}")
        elif isinstance(rest, dict):
            yield from violations(rest, value, f"{path}/{name}")
        elif isinstance(properties, dict):
            yield "DCVS-1107-400", f"{path}: extraneous key [{name}] is not permitted"
    for name in schema.get("required", ()):
        if name not in record:
            yield "DCVS-1106-400", f"{path}: required key [{name}] not found"


def _is_of(value: Any, kind: str) -> bool:
    expected = _TYPES[kind]
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, expected)


def value_at(record: Any, path: list[str]) -> Any:
    """The value in a record at a path of names; None where there is none."""
    for step in path:
        record = record.get(step) if isinstance(record, dict) else None
    return record


def identity_in(record: dict[str, Any], primary: list[str] | None) -> str | None:
    """The primary identity of a record: the schema's field if it has one, else the entry of the
    identityMap that is marked so. The map does not stand in for the field.
    """
    if primary is not None:
        value = value_at(record, primary)
        return value if isinstance(value, str) and value else None
    identity_map = record.get("identityMap")
    for entries in identity_map.values() if isinstance(identity_map, dict) else ():
        for one in entries if isinstance(entries, list) else ():
            if isinstance(one, dict) and one.get("primary") and one.get("id"):
                return str(one["id"])
    return None
