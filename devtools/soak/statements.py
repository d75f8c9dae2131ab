"""What Didomi says of people: choices one by one, and the status of each of its users after them.

The shapes and rules are those of Didomi's documents: an event is partial; a snapshot is the status
of one Didomi user (a device mostly) and is computed anew when an event is deleted; several Didomi
users may be one person.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from devtools.soak.customer import PREFERENCE

Form = Literal[
    "bare", "event.created", "event.updated", "event.deleted", "user.created", "user.updated"
]
BASE = datetime(2024, 5, 1, tzinfo=UTC)
_TOPICS = ("shoes,bags", "bags", "shoes", "", "")
_COUNTRIES = ("DE", "FR", "IT")


@dataclass(frozen=True)
class Statement:
    """`choices`: attribute → what the person chose, as Didomi writes it; "" is an emptied
    preference. Of a snapshot, `at` is its `updated_at` and `device` the Didomi user; `has_consents`
    says whether it has that part at all, and `nulls` names attributes that it lists without a
    choice. `id` is shared by the changes of one event.
    """

    id: str
    person: int
    form: Form
    at: datetime
    choices: dict[str, bool | str] = field(default_factory=dict)
    updated_at: datetime | None = None
    device: str = ""
    version: int = 0
    has_consents: bool = True
    nulls: tuple[str, ...] = ()

    @property
    def is_snapshot(self) -> bool:
        return self.form.startswith("user.")

    def __str__(self) -> str:
        updated = f", updated {self.updated_at:%H:%M:%S}" if self.updated_at else ""
        of = f" of {self.device} version {self.version}" if self.is_snapshot else ""
        said: Any = self.choices if self.has_consents else f"{self.choices}, no consents"
        nulls = f", null: {', '.join(self.nulls)}" if self.nulls else ""
        return (
            f"{self.form} {self.id} of person {self.person}{of}, {self.at:%H:%M:%S}"
            f"{updated}: {said}{nulls}"
        )


def document(said: Statement, organization: str, email: str) -> dict[str, Any]:
    """The message that Didomi sends."""
    user: dict[str, Any] = {"id": said.device, "organization_user_id": email}
    if "country" in said.choices:
        user["country"] = said.choices["country"]
    consents = {"consents": {"purposes": _purposes(said)}} if said.has_consents else {}
    common: dict[str, Any] = {"organization_id": organization, **consents}
    if said.is_snapshot:
        entity = user | common | {"version": said.version}
        entity |= {"created_at": BASE.isoformat(), "updated_at": said.at.isoformat()}
    else:
        updated = {"updated_at": said.updated_at.isoformat()} if said.updated_at else {}
        entity = common | {"id": said.id, "user": user, "created_at": said.at.isoformat()}
        entity |= updated
    if said.form == "bare":
        return entity
    place = "new_entity" if said.form.endswith("updated") else "entity"
    return {"type": said.form, "parameters": {place: entity}}


def _purposes(said: Statement) -> list[dict[str, Any]]:
    listed: dict[str, Any] = dict.fromkeys(said.nulls) | said.choices
    purposes = [
        {"id": name, "enabled": value}
        for name, value in listed.items()
        if name not in (PREFERENCE, "country")
    ]
    if PREFERENCE in listed:
        values = {PREFERENCE: {"value": listed[PREFERENCE]}}
        purposes.append({"id": "interests", "enabled": True, "values": values})
    return purposes


def draw_choices(chance: random.Random) -> dict[str, bool | str]:
    """Some of the consents and the preference, one at least."""
    values: dict[str, bool | str] = {
        "news": chance.choice((True, False)),
        "offers": chance.choice((True, False)),
        "topics": chance.choice(_TOPICS),
    }
    names = chance.sample(list(values), chance.randint(1, 3))
    return {name: values[name] for name in names}


def draw_event(
    chance: random.Random, event_id: str, person: int, before: list[Statement]
) -> Statement:
    """An event of a person, or a change or the deletion of one of those `before`."""
    own = [one for one in before if one.person == person and one.form in ("bare", "event.created")]
    what = chance.choices(("new", "changed", "deleted", "nothing"), (16, 3, 1, 1))[0]
    if own and what in ("changed", "deleted"):
        event = chance.choice(own)
        if what == "deleted":
            return replace(event, form="event.deleted")
        return _draw_change(chance, event, [one for one in before if one.id == event.id])
    at = BASE + timedelta(seconds=chance.randint(0, 8))
    choices = {} if what == "nothing" else draw_choices(chance)
    if choices and chance.random() < 0.25:
        choices["country"] = chance.choice(_COUNTRIES)
    form: Form = chance.choice(("bare", "event.created"))
    updated_at = BASE + timedelta(minutes=1) if chance.random() < 0.2 else None
    return Statement(event_id, person, form, at, choices, updated_at, f"phone-{person}")


def _draw_change(chance: random.Random, event: Statement, versions: list[Statement]) -> Statement:
    """A change keeps id and `created_at`. It tells its time, unless it is the first one and the
    event had told none: of two changes without one nobody could tell the later.
    """
    is_first = all(one.form != "event.updated" for one in versions)
    updated_at = None
    if not is_first or event.updated_at is not None or chance.random() < 0.7:
        updated_at = BASE + timedelta(minutes=2 + len(versions), seconds=chance.randint(0, 59))
    return replace(event, form="event.updated", choices=draw_choices(chance), updated_at=updated_at)


class Device:
    """A Didomi user: what it has chosen, and the snapshots that follow from it."""

    def __init__(self, name: str, person: int) -> None:
        self._name = name
        self._person = person
        self._events: list[dict[str, bool | str]] = []
        self._version = 0

    def act(self, chance: random.Random, snapshot_id: str, at: datetime) -> Statement:
        """Choose something, or have an event deleted; the snapshot of after it. `at` never goes
        back for one device.
        """
        is_first = self._version == 0
        if is_first and chance.random() < 0.4:
            pass  # a new device, of which nothing is chosen yet
        elif self._events and chance.random() < 0.4:
            self._events.pop(chance.randrange(len(self._events)))
        else:
            self._events.append(draw_choices(chance))
        self._version += 1
        status = {name: value for one in self._events for name, value in one.items()}
        has_consents = bool(status) or chance.random() < 0.6
        unnamed = [one for one in ("news", "offers", "topics") if one not in status]
        nulls = tuple(one for one in unnamed if has_consents and chance.random() < 0.2)
        if has_consents and chance.random() < 0.25:
            status["country"] = chance.choice(_COUNTRIES)
        return Statement(
            snapshot_id,
            self._person,
            "user.created" if is_first else "user.updated",
            at,
            status,
            device=self._name,
            version=self._version,
            has_consents=has_consents,
            nulls=nulls,
        )
