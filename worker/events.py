"""What arrives: the bytes of a message, decoded into a typed consent event.

Two steps, because the order of checks asks for it (an event of a kind that nobody wants is skipped
before its content is judged): `open_envelope` finds out what kind of event this is and whose,
`read_record` then reads the choices strictly. Both raise `UndecodableEvent`, the second also
`EarlyEvent`, and nothing else, whatever the bytes are. No message of these quotes a value of the
event: values are personal data.

The shapes are Didomi's: https://api.didomi.io/openapi.json (Consents API) and the page "Webhooks"
of developers.didomi.io for the envelope.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import orjson

EventKind = Literal[
    "event.created",
    "event.updated",
    "event.deleted",
    "user.created",
    "user.updated",
    "user.deleted",
]

EVENT_KINDS: Final[frozenset[str]] = frozenset(
    {
        "event.created",
        "event.updated",
        "event.deleted",
        "user.created",
        "user.updated",
        "user.deleted",
    }
)

UndecodableReason = Literal["invalid-json", "invalid-event", "unknown-type"]

MAX_CLOCK_LEAD_SECONDS: Final = 300.0
"""How far ahead an event's time may lie: one bad clock must not block later choices."""
MAX_EARLY_SECONDS: Final = 86_400.0
"""How far ahead it may lie to be waited for: the worker's own clock may be slow."""

MAX_VALUES: Final = 20_000
"""Commas and brackets in a body. Each costs time in which nobody else is served; a choice of every
purpose and vendor that there is has a few thousand."""

_BESIDES_ENABLED: Final = frozenset({"channels", "enabled_li", "preferences", "values"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UndecodableEvent(ValueError):  # noqa: N818 - a statement about the event, not about us
    """The body can't be read as a consent event.

    `reason` is the stable code of the dead letter, `field` the path of what is wrong (empty for
    the body as a whole). The text names the field and what is allowed there, never a value.
    """

    def __init__(self, reason: UndecodableReason, problem: str, field: str = "") -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.reason: UndecodableReason = reason
        self.field = field


class EarlyEvent(Exception):  # noqa: N818 - a statement about the event
    """The event is of the future: it can be handled in `seconds`, by the clock that was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the event lies in the future")
        self.seconds = seconds


class Envelope(NamedTuple):
    """An event whose kind and owner are known, and whose content is not judged yet."""

    kind: EventKind
    organization_id: str
    regulation: str
    event_id: str
    entity: dict[str, Any]

    @property
    def is_snapshot(self) -> bool:
        """Whether the entity is a user's whole status (`user.*`), not a partial choice."""
        return self.kind.startswith("user.")

    @property
    def is_deletion(self) -> bool:
        return self.kind.endswith(".deleted")


class ConsentRecord(NamedTuple):
    """The choices of one event, read strictly, in the user-like shape that mappings address.

    `event_time_ms` and `updated_at_ms` are milliseconds since the epoch. `purposes`, `channels`
    and `metadata` are the event's own JSON, checked for the types that mappings rely on.
    """

    event_id: str
    event_time_ms: int
    updated_at_ms: int | None
    is_pending: bool
    organization_user_id: str | None
    country: str | None
    last_seen_country: str | None
    metadata: dict[str, Any]
    purposes: list[dict[str, Any]]
    channels: list[dict[str, Any]]


def open_envelope(body: bytes) -> Envelope:
    """Decode `body` and say which kind of event it is and which Didomi organization owns it.

    Accepts Didomi's webhook envelope and a bare ConsentEvent, which is read as `event.created`.
    Raises `UndecodableEvent` for everything else.
    """
    # Each is at least a byte, so most bodies need no look.
    if len(body) > MAX_VALUES and sum(map(body.count, (b",", b"{", b"["))) > MAX_VALUES:
        raise UndecodableEvent("invalid-event", f"the body has more than {MAX_VALUES} values")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UndecodableEvent(
            "invalid-json", f"the body is not JSON in UTF-8 (near byte {error.pos})"
        ) from None
    if not isinstance(document, dict):
        raise UndecodableEvent("invalid-event", "the body must be a JSON object")
    try:
        kind, entity, outer_regulation = _unwrap(document)
    except UndecodableEvent:
        if any("__" in key for key in document):
            raise UndecodableEvent(
                "invalid-event",
                "the body is flattened (keys joined by a double underscore); "
                "switch the flatten option of its producer off",
            ) from None
        raise
    organization_id = _optional_text(entity, "organization_id", "organization_id")
    if not organization_id:
        raise UndecodableEvent("invalid-event", "is required", "organization_id")
    regulation = _optional_text(entity, "regulation", "regulation") or outer_regulation or "gdpr"
    event_id = _optional_text(entity, "id", "id") or ""
    return Envelope(kind, organization_id, regulation, event_id, entity)


def read_record(envelope: Envelope, now_ms: int) -> ConsentRecord:
    """Read the choices of `envelope`; `now_ms` is the present in milliseconds since the epoch.

    Raises `UndecodableEvent` (`invalid-event`) naming the first field that is not as documented,
    and `EarlyEvent` for an event of the next day.
    """
    entity = envelope.entity
    is_snapshot = envelope.is_snapshot
    user = entity if is_snapshot else _require_object(entity, "user", "user")
    prefix = "" if is_snapshot else "user."
    consents = _require_object(entity, "consents", "consents")
    if not envelope.event_id:
        raise UndecodableEvent("invalid-event", "is required", "id")
    event_time_ms, updated_at_ms = _event_times(entity, is_snapshot, now_ms)
    purposes = _list_of_objects(consents, "purposes", "consents.purposes")
    channels = _list_of_objects(consents, "channels", "consents.channels")
    for index, purpose in enumerate(purposes):
        if not is_plain_choice(purpose):
            _check_purpose(purpose, f"consents.purposes[{index}]")
    _check_choices(channels, "consents.channels")
    return ConsentRecord(
        event_id=envelope.event_id,
        event_time_ms=event_time_ms,
        updated_at_ms=updated_at_ms,
        is_pending=not is_snapshot and _is_pending(entity),
        organization_user_id=_optional_text(
            user, "organization_user_id", prefix + "organization_user_id"
        ),
        country=_optional_text(user, "country", prefix + "country"),
        last_seen_country=_optional_text(user, "last_seen_country", prefix + "last_seen_country"),
        metadata=_optional_object(user, "metadata", prefix + "metadata"),
        purposes=purposes,
        channels=channels,
    )


def is_plain_choice(purpose: dict[str, Any]) -> bool:
    """Whether a purpose says nothing but `enabled`, and is as documented.

    That is the commonest shape by far, and cheaper to deal with than the whole of it.
    """
    return (
        _BESIDES_ENABLED.isdisjoint(purpose)
        and ((enabled := purpose.get("enabled")) is None or type(enabled) is bool)
        and type(purpose_id := purpose.get("id")) is str
        and purpose_id != ""
    )


def _unwrap(document: dict[str, Any]) -> tuple[EventKind, dict[str, Any], str | None]:
    if "type" not in document:
        if "consents" in document and "user" in document:
            return "event.created", document, None
        raise UndecodableEvent("invalid-event", "neither a webhook envelope nor a consent event")
    kind = document["type"]
    if not isinstance(kind, str) or kind not in EVENT_KINDS:
        raise UndecodableEvent(
            "unknown-type", f"must be one of {', '.join(sorted(EVENT_KINDS))}", "type"
        )
    parameters = _require_object(document, "parameters", "parameters")
    key = "new_entity" if kind.endswith(".updated") else "entity"
    entity = _require_object(parameters, key, f"parameters.{key}")
    return (
        kind,  # type: ignore[return-value]  # membership of EVENT_KINDS was checked above
        entity,
        _optional_text(document, "regulation", "regulation"),
    )


def _event_times(entity: dict[str, Any], is_snapshot: bool, now_ms: int) -> tuple[int, int | None]:
    created = _optional_time(entity, "created_at")
    is_unchanged = created is not None and entity.get("updated_at") == entity["created_at"]
    updated = created if is_unchanged else _optional_time(entity, "updated_at")
    event_time, name = (updated, "updated_at") if is_snapshot else (created, "created_at")
    if event_time is None:
        raise UndecodableEvent("invalid-event", "is required", name)
    early_seconds = (event_time - now_ms) / 1000 - MAX_CLOCK_LEAD_SECONDS
    if early_seconds > MAX_EARLY_SECONDS:
        raise UndecodableEvent("invalid-event", "lies more than a day in the future", name)
    if early_seconds > 0:
        raise EarlyEvent(early_seconds)
    return event_time, updated


def _is_pending(entity: dict[str, Any]) -> bool:
    status = entity.get("status")
    if status is None or status == "confirmed":
        return False
    if status == "pending_approval":
        return True
    raise UndecodableEvent("invalid-event", "must be confirmed or pending_approval", "status")


def _check_purpose(purpose: dict[str, Any], where: str) -> None:
    _check_choice(purpose, where)
    _check_flag(purpose, "enabled_li", where)
    for value in _optional_object(purpose, "values", f"{where}.values").values():
        # The preference's id stays out of the path: only Didomi's own field names are sure to be
        # no personal data.
        if value is not None and not isinstance(value, dict):
            raise UndecodableEvent("invalid-event", "must map ids to objects", f"{where}.values")
        _optional_text(value or {}, "value", f"{where}.values.*.value")
    _check_choices(_list_of_objects(purpose, "channels", f"{where}.channels"), f"{where}.channels")
    preferences = _list_of_objects(purpose, "preferences", f"{where}.preferences")
    _check_choices(preferences, f"{where}.preferences")
    for index, preference in enumerate(preferences):
        path = f"{where}.preferences[{index}].channels"
        _check_choices(_list_of_objects(preference, "channels", path), path)


def _check_choices(choices: list[dict[str, Any]], where: str) -> None:
    for index, choice in enumerate(choices):
        _check_choice(choice, f"{where}[{index}]")


def _check_choice(choice: dict[str, Any], where: str) -> None:
    if not _optional_text(choice, "id", f"{where}.id"):
        raise UndecodableEvent("invalid-event", "is required", f"{where}.id")
    _check_flag(choice, "enabled", where)


def _check_flag(choice: dict[str, Any], name: str, where: str) -> None:
    value = choice.get(name)
    if value is not None and not isinstance(value, bool):
        raise UndecodableEvent("invalid-event", "must be true, false or null", f"{where}.{name}")


def _require_object(parent: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        problem = "is required" if value is None else "must be an object"
        raise UndecodableEvent("invalid-event", problem, where)
    return value


def _optional_object(parent: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UndecodableEvent("invalid-event", "must be an object", where)
    return value


def _list_of_objects(parent: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    value = parent.get(key)
    if value is None:
        return []
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, dict):
                break
        else:
            return value
    raise UndecodableEvent("invalid-event", "must be a list of objects", where)


def _optional_text(parent: dict[str, Any], key: str, where: str) -> str | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, str):
        raise UndecodableEvent("invalid-event", "must be a string", where)
    return value


def _optional_time(entity: dict[str, Any], name: str) -> int | None:
    text = _optional_text(entity, name, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        since = moment.astimezone(UTC) - _EPOCH  # raises for what is before the year 1 in UTC
    except (ValueError, OverflowError):
        raise UndecodableEvent(
            "invalid-event", "must be an ISO 8601 time with an offset", name
        ) from None
    return round(since.total_seconds() * 1000)
