"""A resolved schema of Adobe's: which paths it has, and what fits there. Pure.

Adobe's pages "Schemas endpoint" (resolved form) and "Field constraints" (types; `enum` is enforced,
`meta:enum` alone is labels).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from worker.adobe.check.customer_setup import shown_name

MOST_PATHS: Final = 10_000
"""Looked through for a path that is nearly the one that was meant."""
_MOST_DEPTH: Final = 32
_MOST_DIFFERENCE: Final = 8
"""In length, of a path and what was meant by it: comparing is dear."""
_MOST_SHOWN_VALUES: Final = 12
_TYPES: Final[dict[type, tuple[str, ...]]] = {
    bool: ("boolean",),
    str: ("string",),
    int: ("integer", "number"),
    float: ("number",),
    dict: ("object",),
    list: ("array",),
}


class AnyText:
    """Stands for a text that the event brings, of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a value doesn't fit the schema; `certain` is false where it depends on what the value
    will be.
    """

    text: str
    certain: bool = True


def node_at(schema: Any, path: str) -> dict[str, Any] | Misfit | None:
    """A schema's field at a dotted path; None without one, `Misfit` if a list is in the way."""
    node = schema
    done: list[str] = []
    for step in path.split("."):
        if not isinstance(node, dict):
            return None
        if node.get("type") == "array":
            where = ".".join(done)
            return Misfit(f"{where} is a list, and a path can't name an item of it")
        properties = node.get("properties")
        if isinstance(properties, dict) and step in properties:
            node = properties[step]
        elif isinstance(node.get("additionalProperties"), dict):
            node = node["additionalProperties"]  # a map: any key
        else:
            return None
        done.append(step)
    return node if isinstance(node, dict) else None


def nearest(path: str, known: Sequence[str]) -> str | None:
    """The one of `known` paths that was probably meant."""
    alike = [one for one in known if abs(len(one) - len(path)) <= _MOST_DIFFERENCE]
    close = get_close_matches(path, alike, 1, cutoff=0.75)
    if close:
        return close[0]
    name = path.rpartition(".")[2].casefold()
    same_name = [one for one in known if one.rpartition(".")[2].casefold() == name]
    return same_name[0] if len(same_name) == 1 else None


def paths_of(schema: Any) -> list[str]:
    """The dotted paths of a schema, `MOST_PATHS` at most, and those the least deep ones."""
    paths: list[str] = []
    waiting: deque[tuple[str, Any, int]] = deque([("", schema, 0)])
    while waiting and len(paths) < MOST_PATHS:
        prefix, node, depth = waiting.popleft()
        for name, child in _children(node):
            paths.append(f"{prefix}{name}")
            if depth < _MOST_DEPTH:
                waiting.append((f"{prefix}{name}.", child, depth + 1))
    return paths[:MOST_PATHS]


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    properties = node.get("properties") if isinstance(node, dict) else None
    if isinstance(properties, dict):
        yield from ((str(name), child) for name, child in properties.items())


def misfit(node: dict[str, Any], value: Any, where: str) -> Misfit | None:
    """Why `value` can't stand at a schema's `node`; None when it can. `where` is the path, for the
    text.
    """
    expected = _types_of(node)
    kind = str if isinstance(value, AnyText) else type(value)
    fitting = _TYPES.get(kind, ())
    if expected and not set(fitting) & set(expected):
        return Misfit(f"{where} is of the type {_said(expected)}, and {_article(kind)} is sent")
    if isinstance(value, dict):
        return _misfit_inside(node, value, where)
    if isinstance(value, str | AnyText):
        return _misfit_of_text(node, value, where)
    return None


def _misfit_inside(node: dict[str, Any], value: dict[str, Any], where: str) -> Misfit | None:
    for name, inner in value.items():
        child = node_at(node, name)
        if not isinstance(child, dict):
            return Misfit(f"{where} has no field {name}, which is sent")
        if found := misfit(child, inner, f"{where}.{name}"):
            return found
    return None


def _misfit_of_text(node: dict[str, Any], value: str | AnyText, where: str) -> Misfit | None:
    allowed = node.get("enum")
    if isinstance(allowed, list) and allowed:
        listed = ", ".join(shown_name(str(one)) for one in allowed[:_MOST_SHOWN_VALUES])
        if isinstance(value, AnyText):
            return Misfit(f"{where} takes only {listed}; what is sent depends on the event", False)
        if value not in allowed:
            return Misfit(f"{where} takes only {listed}, and {value} is sent")
    if isinstance(value, AnyText) and (node.get("format") or node.get("pattern")):
        rule = "format" if node.get("format") else "pattern"
        return Misfit(f"{where} has a {rule}; what is sent depends on the event", False)
    return None


def _types_of(node: dict[str, Any]) -> tuple[str, ...]:
    said = node.get("type")
    if isinstance(said, list):
        return tuple(one for one in said if isinstance(one, str) and one != "null")
    if isinstance(said, str):
        return (said,)
    return ("object",) if "properties" in node else ()


def _said(types: tuple[str, ...]) -> str:
    return " or ".join(one if one.isalpha() and len(one) < 20 else "?" for one in types)


def _article(kind: type) -> str:
    return {bool: "a boolean", str: "a text", dict: "an object", list: "a list"}.get(
        kind, "a number"
    )
