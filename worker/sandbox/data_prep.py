"""Data Prep of a raw inlet: a mapping set turns what is sent into a record.

Adobe Experience Platform, "Data Prep, data handling" (texts become booleans) and "Data Prep
troubleshooting guide" (a field that can't be transformed is left out, and the row goes on). What is
calculated by an expression is left out here, since the emulator knows no functions.
"""

from __future__ import annotations

from typing import Any, Final

from worker.sandbox.record_validation import value_at

_TRUE: Final = frozenset({"y", "yes", "on", "true"})
_FALSE: Final = frozenset({"n", "no", "off", "false"})
_PLAIN: Final = (None, "ATTRIBUTE", "text/x.schema-path")


def mapped(rules: list[dict[str, Any]], source: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The record that `rules` make of `source`."""
    record: dict[str, Any] = {}
    for rule in rules:
        if rule.get("sourceType") not in _PLAIN:
            continue
        value = value_at(source, str(rule["source"]).split("."))
        if value is None:
            continue
        path = str(rule["destination"]).split(".")
        _place(record, path, _converted(value, _type_at(schema, path)))
    return record


def _type_at(schema: Any, path: list[str]) -> Any:
    for step in path:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        schema = properties.get(step) if isinstance(properties, dict) else None
    return schema.get("type") if isinstance(schema, dict) else None


def _converted(value: Any, kind: Any) -> Any:
    if kind == "boolean" and isinstance(value, str):
        word = value.lower()
        return True if word in _TRUE else False if word in _FALSE else value
    return value


def _place(record: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        inner = record.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        record = inner
    known = record.get(path[-1])
    if isinstance(known, dict) and isinstance(value, dict):
        known.update(value)
    else:
        record[path[-1]] = value
