"""What was read of the customer's set-up at Adobe, without trust in its shape, and the few facts
that several rules need. Pure.

What comes from a document and is shown (an id, a path, a state) has the shape of a name: nothing
else of a reply gets into a line.

Adobe's pages: "Create a streaming connection for the HTTP API" (flow, connections), "Enable a
dataset for Profile", "Schemas endpoint", "Descriptors endpoint", "Mapping sets endpoint".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from worker.adobe.check.platform_reads import Answer, Found, NotAsked, NotFound
from worker.adobe.replies import Reply
from worker.integrations.model import Integration

_NAME: Final = re.compile(r"(?:[\w$@:./ -]|<value>){1,256}")
"""A template of ours has `<value>` for the person."""
UNSHOWN: Final = "(a value that is not shown)"


def at(document: Any, *path: str | int) -> Any:
    """The value at `path` in a document of Adobe's; None where there is none."""
    for step in path:
        if isinstance(step, int):
            inside = isinstance(document, list) and len(document) > step
        else:
            inside = isinstance(document, dict) and step in document
        if not inside:
            return None
        document = document[step]
    return document


def text_at(document: Any, *path: str | int) -> str:
    """The text at `path` in a document of Adobe's, a number as its digits; "" where there is
    neither.
    """
    value = at(document, *path)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def objects_at(document: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects of the list at `path` in a document of Adobe's; none where there is no list."""
    value = at(document, *path)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def shown_name(text: str) -> str:
    """A text of Adobe's to be shown, if it has the shape of a name."""
    return text if text and _NAME.fullmatch(text) and text.isprintable() else UNSHOWN


InletKind = Literal["raw", "xdm"]

NO_MAPPING_SPEC: Final = "d8a6f005-7eaf-4153-983e-e8574508b877"
"""The flow specification of XDM-compatible inlets; those with a mapping have several."""
_NOTHING: Final = NotAsked("the flow")


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The look-up of somebody who does not exist; `reply` is None if Adobe knows them."""

    identifier: str
    reply: Reply | None


@dataclass(frozen=True, slots=True)
class SetUp:
    """All that was read of a set-up at Adobe; `now_ms` is when, in milliseconds since the epoch."""

    now_ms: int
    sandboxes: Answer = field(default_factory=lambda: NotAsked("a token"))
    flow: Answer = _NOTHING
    flow_of_inlet: str = ""
    """Another flow, which has the configured endpoint; "" where none was found or looked for."""
    connection: Answer = _NOTHING
    target: Answer = _NOTHING
    dataset: Answer = _NOTHING
    schema: Answer = _NOTHING
    descriptors: Answer = _NOTHING
    namespaces: Answer = _NOTHING
    mapping_set: Answer = _NOTHING
    identity_dataset: Answer = _NOTHING
    runs: Answer = _NOTHING
    look_ups: tuple[LookedUp, ...] = ()

    @property
    def inlet_kind(self) -> InletKind | None:
        """Raw or XDM-compatible: by the inlet's `dataType`, else by the flow; None if neither
        tells.
        """
        said = text_at(_document(self.connection), "auth", "params", "dataType").lower()
        if said == "raw":
            return "raw"
        if said == "xdm":
            return "xdm"
        flow = _document(self.flow)
        if mapping_of(flow) is not None:
            return "raw"
        return "xdm" if text_at(flow, "flowSpec", "id") == NO_MAPPING_SPEC else None

    def needs_look_ups(self, integration: Integration) -> bool:
        """Whether deliveries ask for a person's profile: all of them, or the first one of somebody
        whom the state does not know, before a whole record.
        """
        if integration.needs_lookup:
            return True
        is_whole = integration.replaces_record or (
            integration.payload_mode == "auto" and self.inlet_kind == "xdm"
        )
        return is_whole and integration.events == "event" and not integration.dataset_starts_empty


def _document(answer: Answer) -> object:
    return answer.document if isinstance(answer, Found) else None


def first_item(answer: Answer) -> Answer:
    """Flow Service answers a look-up by id with a list of one."""
    if not isinstance(answer, Found):
        return answer
    items = objects_at(answer.document, "items")
    return Found(items[0]) if items else NotFound("an empty answer")


def mapping_of(flow: object) -> tuple[str, str] | None:
    """The id and the version of the flow's mapping set, which is its only transformation."""
    for one in objects_at(flow, "transformations"):
        if mapping_id := text_at(one, "params", "mappingId"):
            return mapping_id, text_at(one, "params", "mappingVersion")
    return None


def base_connection_of(flow: object) -> str:
    """The id of the inlet's connection, where the flow has it inherited; else ""."""
    inherited = at(flow, "inheritedAttributes")
    return text_at(inherited, "sourceConnections", 0, "baseConnection", "id")


def dataset_schema(dataset: object) -> str:
    """The id of the dataset's schema."""
    return text_at(dataset, "schemaRef", "id")
