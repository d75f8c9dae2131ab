"""The outer part of a message: what kind of event it is, and which Didomi organization owns it.

The shapes are Didomi's: the page "Webhooks" of developers.didomi.io for the envelope.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, get_args

import orjson

from worker.events.field_readers import (
    FlattenedEvent,
    UndecodableEvent,
    optional_text,
    optional_texts,
    require_object,
)
from worker.fast_tuples import new_tuple
from worker.reasons import DeadReason

EventKind = Literal[
    "event.created",
    "event.updated",
    "event.deleted",
    "user.created",
    "user.updated",
    "user.deleted",
]

_KINDS: Final[dict[str, EventKind]] = {one: one for one in get_args(EventKind)}
EVENT_KINDS: Final[frozenset[str]] = frozenset(_KINDS)
_TEXTS: Final = ("organization_id", "regulation", "id")
MAX_VALUES: Final = 20_000
"""Commas and brackets in a body. Each costs time in which nobody else is served; a choice of every
purpose and vendor that there is has a few thousand."""

_HIGHEST_VERSION: Final = 10**15


class Envelope(NamedTuple):
    """An event whose kind and owner are known, and whose content is not judged yet.

    `organization_id` is empty for a deletion that does not tell it, as on Didomi's page.
    """

    kind: EventKind
    organization_id: str
    regulation: str
    event_id: str
    entity: dict[str, Any]
    is_snapshot: bool
    """Whether the entity is a user's whole status (`user.*`), not a partial choice."""

    @property
    def is_deletion(self) -> bool:
        return self.kind.endswith(".deleted")

    @property
    def version(self) -> int | None:
        """Of a snapshot the number of the user's version, which grows with each change."""
        version: Any = self.entity.get("version")
        is_one = type(version) in (int, float) and 0 <= version < _HIGHEST_VERSION
        return int(version) if is_one else None


def open_envelope(body: bytes) -> Envelope:
    """Decode `body` and say which kind of event it is and which Didomi organization owns it.

    Accepts Didomi's webhook envelope and a bare ConsentEvent, which is read as `event.created`.
    Raises `UndecodableEvent` for everything else.
    """
    # Each is at least a byte, so most bodies need no look.
    if len(body) > MAX_VALUES and sum(map(body.count, (b",", b"{", b"["))) > MAX_VALUES:
        raise UndecodableEvent(
            DeadReason.INVALID_EVENT, f"the body has more than {MAX_VALUES} values"
        )
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UndecodableEvent(
            DeadReason.INVALID_JSON, f"the body is not JSON in UTF-8 (near byte {error.pos})"
        ) from None
    if not isinstance(document, dict):
        raise UndecodableEvent(DeadReason.INVALID_EVENT, "the body must be a JSON object")
    try:
        kind, entity, outer_regulation = _unwrap(document)
    except UndecodableEvent:
        if any("__" in key for key in document):
            raise FlattenedEvent from None
        raise
    organization_id, said_regulation, event_id = optional_texts(entity, _TEXTS)
    if not organization_id and not kind.endswith(".deleted"):
        raise UndecodableEvent(DeadReason.INVALID_EVENT, "is required", "organization_id")
    regulation = said_regulation or outer_regulation or "gdpr"
    is_snapshot = kind.startswith("user.")
    said = (kind, organization_id or "", regulation, event_id or "", entity, is_snapshot)
    return new_tuple(Envelope, said)


def _unwrap(document: dict[str, Any]) -> tuple[EventKind, dict[str, Any], str | None]:
    if "type" not in document:
        if "consents" in document and "user" in document:
            return "event.created", document, None
        raise UndecodableEvent(
            DeadReason.INVALID_EVENT, "neither a webhook envelope nor a consent event"
        )
    kind = _kind_of(document["type"])
    parameters = require_object(document, "parameters", "parameters")
    key = "new_entity" if kind.endswith(".updated") else "entity"
    entity = require_object(parameters, key, f"parameters.{key}")
    return kind, entity, optional_text(document, "regulation", "regulation")


def _kind_of(said: object) -> EventKind:
    """In any case of letters: Adobe's page of the connector writes `Event.created`."""
    kind = (_KINDS.get(said) or _KINDS.get(said.lower())) if isinstance(said, str) else None
    if kind is None:
        raise UndecodableEvent(
            DeadReason.UNKNOWN_TYPE, f"must be one of {', '.join(sorted(EVENT_KINDS))}", "type"
        )
    return kind
