"""Choices of users: how Didomi publishes them, and what of them Adobe must end with.

Written down anew from docs/ordering.md; it shares no code with the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

Kind = Literal["choice", "says-nothing", "no-identity"]

LONG_AGO = datetime(1951, 5, 1, tzinfo=UTC)
MAPPINGS = {
    "news": "consents_purposes_news_enabled",
    "offers": "consents_purposes_offers_enabled",
    "country": "country",
}
"""Where an integration finds the attributes."""


@dataclass(frozen=True)
class Event:
    """`attributes` is name → value, as they are to be found at Adobe."""

    id: str
    user: int
    kind: Kind
    at: datetime
    updated_at: datetime | None
    attributes: dict[str, bool | str]


def mappings() -> list[dict[str, str]]:
    """`MAPPINGS` as an integration has them; the attributes are below `_acme` in the record."""
    return [{"id": f"_acme.{name}", "value": value} for name, value in MAPPINGS.items()]


def body(event: Event, organization: str, email: str, *, is_snapshot: bool) -> dict[str, Any]:
    """The event as Didomi sends it: a choice, or the `email`'s whole state after it, by the one
    device that each has; no two such states of a user are of one moment.
    """
    purposes = [
        {"id": name, "enabled": value}
        for name, value in event.attributes.items()
        if isinstance(value, bool)
    ]
    user: dict[str, Any] = {
        "id": f"device-{event.user}",
        "organization_user_id": f"user{event.user}" if event.kind == "no-identity" else email,
    }
    if "country" in event.attributes:
        user["country"] = event.attributes["country"]
    common = {
        "id": event.id,
        "organization_id": organization,
        "consents": {"purposes": purposes},
    }
    if is_snapshot:
        entity = common | user | {"updated_at": event.at.isoformat()}
        return {"type": "user.updated", "parameters": {"new_entity": entity}}
    updated = {"updated_at": event.updated_at.isoformat()} if event.updated_at else {}
    return common | {"user": user, "created_at": event.at.isoformat()} | updated


def what_is_wrong(
    events: Iterable[Event],
    record: dict[str, Any] | None,
    is_at_adobe: Callable[[Event], bool],
    *,
    are_snapshots: bool,
) -> list[str]:
    """What is not the newest in the `record`, or None, of the user whose `events` are given.

    `is_at_adobe` says whether an event must have got there, if nothing newer has; one that need not
    have may all the same.
    """
    if are_snapshots:  # which take back what they don't say, if need be all of it
        told = [one for one in events if one.kind != "no-identity"]
        whole = [one.attributes if one else {} for one in _newest(told, is_at_adobe, _moment)]
        return [] if (record or {}) in whole else [f"{record} instead of {whole}"]
    choices = [one for one in events if one.kind == "choice"]
    problems = []
    names = {name for one in choices for name in one.attributes} | (record or {}).keys()
    for name in sorted(names):
        naming = [one for one in choices if name in one.attributes]
        allowed = _newest(naming, is_at_adobe, partial(_rank, name))
        wanted = [one and one.attributes[name] for one in allowed]
        if (value := (record or {}).get(name)) not in wanted:
            problems.append(f"{name} is {value} instead of {wanted}")
    return problems


def _newest(
    events: list[Event], is_at_adobe: Callable[[Event], bool], rank: Callable[[Event], Any]
) -> list[Event | None]:
    """The newest that must be at Adobe, and all that is newer; None where nothing must be there."""
    possible: list[Event | None] = []
    for event in sorted(events, key=rank, reverse=True):
        possible.append(event)
        if is_at_adobe(event):
            return possible
    return [*possible, None]


def _moment(event: Event) -> datetime:
    return event.at


def _rank(name: str, event: Event) -> tuple[datetime, datetime, bool, str]:
    is_refusal = event.attributes[name] is False
    return event.at, event.updated_at or LONG_AGO, is_refusal, event.id
