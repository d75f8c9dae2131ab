"""Judges whether a record has all that the schema requires: without it each would be dropped. Pure.

Adobe's page "Streaming ingestion validation" (presence). Of a raw inlet nothing is known before its
mapping, and nothing of what a merge must have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from worker.adobe.check.adobe_documents import at, shown_name
from worker.adobe.check.customer_setup import SetUp
from worker.adobe.check.example_values import sent_times, sent_values
from worker.adobe.check.read_answers import Found, not_judged
from worker.adobe.check.report_lines import Line, ok, wrong
from worker.adobe.check.resolved_schema import node_at
from worker.adobe.check.target_rules import SCHEMAS
from worker.integrations.model import Integration

_MOST_SHOWN: Final = 10


def judge_required(integration: Integration, found: SetUp) -> Iterator[Line]:
    """A line for an XDM-compatible inlet."""
    if found.inlet_kind != "xdm":
        return
    if not isinstance(found.schema, Found):
        yield not_judged("required", found.schema, SCHEMAS)
        return
    sent = set(_sent_paths(integration))
    missing = sorted(set(_missing(found.schema.document, sent)))
    if not missing:
        yield ok("required", "the schema requires nothing that is not sent")
        return
    names = ", ".join(shown_name(one) for one in missing[:_MOST_SHOWN])
    text = f"the schema requires {names}, which nothing sends, and every record would be dropped"
    yield wrong("required", f"{text}; map it, or take the requirement away at Adobe")


def _sent_paths(integration: Integration) -> Iterator[str]:
    for mapping in integration.mappings:
        yield mapping.id
        for value in sent_values(mapping):
            if isinstance(value, dict):
                yield from (f"{mapping.id}.{name}" for name in value)
    for _, rule in integration.identity_rules:
        yield "identityMap" if rule.location == "identity-map" else rule.path or ""
    yield from sent_times(integration)


def _missing(schema: Any, sent: set[str]) -> Iterator[str]:
    """What is required in the objects that are sent, and is in none of the paths."""
    inside = {path[:at_dot] for path in sent for at_dot in _dots(path)} | {""}
    for parent in inside:
        node = node_at(schema, parent) if parent else schema
        required = at(node, "required")
        for name in required if isinstance(required, list) else ():
            path = f"{parent}.{name}".removeprefix(".")
            if path not in sent and path not in inside:
                yield path


def _dots(path: str) -> Iterator[int]:
    return (number for number, one in enumerate(path) if one == ".")
