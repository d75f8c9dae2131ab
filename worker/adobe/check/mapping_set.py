"""A mapping set of Adobe's Data Prep: where a source field of a raw inlet goes to. Pure.

Adobe's pages "Mapping sets endpoint" and "Data Prep troubleshooting guide" (source paths may be
wrapped in `${}`, and escape a dot within a name).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from worker.adobe.check.customer_setup import at, objects_at, text_at

_PLAIN_SOURCES: Final = frozenset({"", "text/x.schema-path", "attribute"})


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a mapping set: `sources` are read by it; `is_plain`: the one source goes to
    `destination` as it is.
    """

    sources: tuple[str, ...]
    destination: str
    is_plain: bool

    def reaches(self, path: str) -> str | None:
        """Where a field at `path`, or what it lies in, goes to by this rule; None if it is not
        read.
        """
        for source in self.sources:
            if path == source:
                return self.destination
            if path.startswith(f"{source}."):
                return self.destination + path[len(source) :]
        return None


def rules_of(mapping_set: Any) -> list[Rule]:
    """The rules of a mapping set, as far as they can be read."""
    return [_rule(one) for one in objects_at(mapping_set, "mappings")]


def _rule(said: dict[str, Any]) -> Rule:
    destination = text_at(said, "destinationXdmPath") or text_at(said, "destination")
    source = text_at(said, "sourceAttribute") or text_at(said, "source")
    if text_at(said, "sourceType").lower() in _PLAIN_SOURCES:
        return Rule((_bare(source),), _bare(destination), True)
    listed = at(said, "expressionAttributes")
    read = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    return Rule(tuple(_bare(one) for one in read), _bare(destination), False)


def _bare(path: str) -> str:
    path = path.strip()
    if path.startswith("${") and path.endswith("}"):
        path = path[2:-1]
    return path.removeprefix("/").replace("/", ".").replace("\\.", ".")
