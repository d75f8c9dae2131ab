"""Judges each mapping: does what it sends have a place, and does its value fit there? Pure.

An XDM-compatible inlet takes the paths of the schema. A raw one takes what the mapping set reads,
and writes that to a path of the schema, with conversions (Adobe's page "Data Prep, data handling").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from worker.adobe.check.customer_setup import SetUp, shown_name
from worker.adobe.check.example_values import A_TIME, sent_times, sent_values
from worker.adobe.check.flow_rules import SOURCES
from worker.adobe.check.mapping_set import Rule, rules_of
from worker.adobe.check.platform_reads import Answer, Found, not_judged
from worker.adobe.check.report_lines import Line, ok, unclear, wrong
from worker.adobe.check.resolved_schema import Misfit, misfit, nearest, node_at, paths_of
from worker.adobe.check.target_rules import SCHEMAS
from worker.integrations.model import Integration

MAPPING_SETS = f"{SOURCES} and {SCHEMAS}"
_MOST_HINTS: Final = 20
"""Mappings for which the path that was meant is looked for: each costs a tenth of a second."""


def judge_mappings(integration: Integration, found: SetUp) -> Iterator[Line]:
    """The check's lines: one for each mapping, and one for each place that gets a time."""
    judge = _Judge(integration, found)
    for mapping in integration.mappings:
        yield judge.line(mapping.id, sent_values(mapping))
    for path in sent_times(integration):
        yield judge.line(path, [A_TIME])


class _Judge:
    """What all mappings are held against, read once."""

    def __init__(self, integration: Integration, found: SetUp) -> None:
        self._found = found
        self._kind = found.inlet_kind or ("xdm" if integration.replaces_record else None)
        self._schema: Any = found.schema.document if isinstance(found.schema, Found) else None
        self._paths: Sequence[str] | None = None
        self._hints_left = _MOST_HINTS
        mapping_set = found.mapping_set
        self._rules = rules_of(mapping_set.document) if isinstance(mapping_set, Found) else None

    def line(self, path: str, values: Sequence[Any]) -> Line:
        match self._kind:
            case "xdm":
                return self._in_schema(path, values)
            case "raw":
                return self._by_mapping_set(path, values)
            case _:
                # A refused read of the inlet: by its kind alone a path is right or wrong.
                answer: Answer = self._found.connection
                if isinstance(answer, Found):
                    return unclear("mapping", "the inlet's kind is not known", path)
                return not_judged("mapping", answer, SOURCES, path)

    def _in_schema(self, path: str, values: Sequence[Any]) -> Line:
        if self._schema is None:
            return not_judged("mapping", self._found.schema, SCHEMAS, path)
        node = node_at(self._schema, path)
        if node is None:
            return wrong("mapping", self._unknown(path), path)
        problem = node if isinstance(node, Misfit) else _worst_misfit(node, values, path)
        if problem is None:
            type_fits = "and its type fits" if values else "and takes what the event brings"
            return ok("mapping", f"is a field of the schema, {type_fits}", path)
        if not problem.certain:
            return ok("mapping", f"is a field of the schema; {problem.text}", path)
        return wrong("mapping", f"{problem.text}{_advice(node, values, path)}", path)

    def _unknown(self, path: str) -> str:
        if self._paths is None:
            self._paths = paths_of(self._schema)
        meant = self._nearest(path, self._paths)
        hint = f" (did you mean {shown_name(meant)}?)" if meant else ""
        return f"the schema has no such field{hint}; change the mapping's id"

    def _nearest(self, path: str, known: Sequence[str]) -> str | None:
        self._hints_left -= 1
        return nearest(path, known) if self._hints_left >= 0 else None

    def _by_mapping_set(self, path: str, values: Sequence[Any]) -> Line:
        if self._rules is None:
            return not_judged("mapping", self._found.mapping_set, MAPPING_SETS, path)
        reached = [(rule, goes) for rule in self._rules if (goes := rule.reaches(path))]
        if not reached:
            return self._not_read(path, self._rules)
        rule, destination = next((one for one in reached if one[0].is_plain), reached[0])
        if not rule.is_plain:
            text = f"is calculated into {shown_name(destination)} by the mapping set"
            return ok("mapping", text, path)
        return self._at_destination(path, destination, values)

    def _not_read(self, path: str, rules: Sequence[Rule]) -> Line:
        if any(not rule.is_plain and not rule.sources for rule in rules):
            text = "no plain field of the mapping set reads it, and it may be in a calculated one"
            return unclear("mapping", f"{text}; look at the dataflow's mapping", path)
        known = [source for rule in rules for source in rule.sources]
        text = "the dataflow's mapping set does not read it; map it there"
        if writes := next((rule for rule in rules if rule.destination == path), None):
            sources = ", ".join(shown_name(one) for one in writes.sources)
            text += f" (that path is written from {sources}), or change the mapping's id to that"
        elif meant := self._nearest(path, known):
            text += f" (did you mean {shown_name(meant)}, which it reads?)"
        return wrong("mapping", text, path)

    def _at_destination(self, path: str, destination: str, values: Sequence[Any]) -> Line:
        where = shown_name(destination)
        if self._schema is None:
            line = not_judged("mapping", self._found.schema, SCHEMAS, path)
            text = f"the mapping set writes it to {where}; whether that fits: {line.text}"
            return unclear("mapping", text, path)
        node = node_at(self._schema, destination)
        if node is None:
            text = f"the mapping set writes it to {where}, which the schema does not have"
            return wrong("mapping", f"{text}; mend the dataflow's mapping", path)
        problem = node if isinstance(node, Misfit) else _worst_misfit(node, values, where)
        if problem is None or not problem.certain:
            note = f"; {problem.text}" if problem else ""
            return ok("mapping", f"the mapping set writes it to {where}{note}", path)
        if isinstance(node, dict) and _may_be_converted(node, values):
            text = f"{problem.text}; whether Data Prep converts it is not documented"
            return unclear("mapping", text, path)
        return wrong("mapping", f"{problem.text}{_advice(node, values, path)}", path)


def _worst_misfit(node: dict[str, Any], values: Sequence[Any], where: str) -> Misfit | None:
    found = [one for value in values if (one := misfit(node, value, where))]
    return next((one for one in found if one.certain), found[0] if found else None)


def _may_be_converted(node: dict[str, Any], values: Sequence[Any]) -> bool:
    """Data Prep makes one plain type of another; never an object of a plain value, or back."""
    is_plain = node.get("type") not in ("object", "array", None)
    return is_plain and not any(isinstance(one, dict | list) for one in values)


def _advice(node: object, values: Sequence[Any], path: str) -> str:
    """What to write in place of a type that doesn't fit, where that can be told."""
    properties = node.get("properties") if isinstance(node, dict) else None
    if isinstance(properties, dict) and "val" in properties and True in values:
        return f'; set the mapping\'s format to "consent-val", or map to {path}.val'
    if any(isinstance(one, dict) for one in values):
        return '; set the mapping\'s format to "as-is", or map to a consent field'
    return "; map to another field"
