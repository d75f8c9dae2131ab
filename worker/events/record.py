"""The choices of an event, read strictly. The shapes are Didomi's:
https://api.didomi.io/openapi.json (Consents API).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from worker.events.envelope import Envelope
from worker.events.field_readers import (
    UndecodableEvent,
    list_of_objects,
    optional_object,
    optional_text,
    optional_texts,
    optional_time,
    require_object,
)
from worker.fast_tuples import new_tuple
from worker.reasons import DeadReason

MAX_CLOCK_LEAD_SECONDS: Final = 300.0
"""How far ahead an event's time may lie: one bad clock must not block later choices."""
MAX_EARLY_SECONDS: Final = 86_400.0
"""How far ahead it may lie to be waited for: the worker's own clock may be slow."""

_USER_TEXTS: Final = ("organization_user_id", "country", "last_seen_country")
BESIDES_ENABLED: Final = frozenset({"channels", "enabled_li", "preferences", "values"})
"""What a purpose may say beside `enabled`. Most say nothing of it, and are cheaper to deal with."""


class EarlyEvent(Exception):
    """The event is of the future: it can be handled in `seconds`, by the clock that was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the event lies in the future")
        self.seconds = seconds


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


def read_record(envelope: Envelope, now_ms: int) -> ConsentRecord:
    """Read the choices of `envelope`; `now_ms` is the present in milliseconds since the epoch.

    Raises `UndecodableEvent` (`invalid-event`) naming the first field that is not as documented,
    and `EarlyEvent` for an event of the next day.
    """
    entity = envelope.entity
    is_snapshot = envelope.is_snapshot
    user = entity if is_snapshot else require_object(entity, "user", "user")
    prefix = "" if is_snapshot else "user."
    # A user who has chosen nothing may have none: Didomi requires it of events alone.
    read_consents = optional_object if is_snapshot else require_object
    consents = read_consents(entity, "consents", "consents")
    if not envelope.event_id:
        raise UndecodableEvent(DeadReason.INVALID_EVENT, "is required", "id")
    event_time_ms, updated_at_ms = _event_times(entity, is_snapshot, now_ms)
    purposes = list_of_objects(consents, "purposes", "consents.purposes")
    channels = list_of_objects(consents, "channels", "consents.channels")
    for purpose in purposes:
        # Most say nothing but `enabled`, and are judged in line: a call for each is dear.
        if (
            not BESIDES_ENABLED.isdisjoint(purpose)
            or ((enabled := purpose.get("enabled")) is not None and enabled.__class__ is not bool)
            or (purpose_id := purpose.get("id")).__class__ is not str
            or not purpose_id
        ):
            _check_purposes(purposes)
            break
    if channels:
        _check_choices(channels, "consents.channels")
    is_pending = not is_snapshot and _is_pending(entity)
    user_id, country, last_country = optional_texts(user, _USER_TEXTS, prefix)
    metadata = optional_object(user, "metadata", prefix + "metadata")
    event_id = envelope.event_id
    # fmt: off
    said = (
        event_id, event_time_ms, updated_at_ms, is_pending, user_id, country, last_country,
        metadata, purposes, channels,
    )
    # fmt: on
    return new_tuple(ConsentRecord, said)


def _event_times(entity: dict[str, Any], is_snapshot: bool, now_ms: int) -> tuple[int, int | None]:
    created = optional_time(entity, "created_at")
    is_unchanged = created is not None and entity.get("updated_at") == entity["created_at"]
    updated = created if is_unchanged else optional_time(entity, "updated_at")
    event_time, name = (updated, "updated_at") if is_snapshot else (created, "created_at")
    if event_time is None:
        raise UndecodableEvent(DeadReason.INVALID_EVENT, "is required", name)
    # Of two versions of an event the later `updated_at` wins, so a bad clock there does harm, too.
    latest = event_time if updated is None or updated < event_time else updated
    early_seconds = (latest - now_ms) / 1000 - MAX_CLOCK_LEAD_SECONDS
    if early_seconds > MAX_EARLY_SECONDS:
        where = name if latest == event_time else "updated_at"
        raise UndecodableEvent(
            DeadReason.INVALID_EVENT, "lies more than a day in the future", where
        )
    if early_seconds > 0:
        raise EarlyEvent(early_seconds)
    return event_time, updated


def _is_pending(entity: dict[str, Any]) -> bool:
    status = entity.get("status")
    if status is None or status == "confirmed":
        return False
    if status == "pending_approval":
        return True
    raise UndecodableEvent(
        DeadReason.INVALID_EVENT, "must be confirmed or pending_approval", "status"
    )


def _check_purposes(purposes: list[dict[str, Any]]) -> None:
    for index, purpose in enumerate(purposes):
        _check_purpose(purpose, f"consents.purposes[{index}]")


def _check_purpose(purpose: dict[str, Any], where: str) -> None:
    _check_choice(purpose, where)
    _check_flag(purpose, "enabled_li", where)
    for value in optional_object(purpose, "values", f"{where}.values").values():
        # The preference's id stays out of the path: only Didomi's own field names are sure to be
        # no personal data.
        if value is not None and not isinstance(value, dict):
            raise UndecodableEvent(
                DeadReason.INVALID_EVENT, "must map ids to objects", f"{where}.values"
            )
        optional_text(value or {}, "value", f"{where}.values.*.value")
    _check_choices(list_of_objects(purpose, "channels", f"{where}.channels"), f"{where}.channels")
    preferences = list_of_objects(purpose, "preferences", f"{where}.preferences")
    _check_choices(preferences, f"{where}.preferences")
    for index, preference in enumerate(preferences):
        path = f"{where}.preferences[{index}].channels"
        _check_choices(list_of_objects(preference, "channels", path), path)


def _check_choices(choices: list[dict[str, Any]], where: str) -> None:
    for index, choice in enumerate(choices):
        _check_choice(choice, f"{where}[{index}]")


def _check_choice(choice: dict[str, Any], where: str) -> None:
    if not optional_text(choice, "id", f"{where}.id"):
        raise UndecodableEvent(DeadReason.INVALID_EVENT, "is required", f"{where}.id")
    _check_flag(choice, "enabled", where)


def _check_flag(choice: dict[str, Any], name: str, where: str) -> None:
    value = choice.get(name)
    if value is not None and not isinstance(value, bool):
        raise UndecodableEvent(
            DeadReason.INVALID_EVENT, "must be true, false or null", f"{where}.{name}"
        )
