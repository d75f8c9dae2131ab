"""The integrations of the run, and the events of their users, drawn by a seed."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from devtools.choices import Event, Kind, body
from worker.events import open_envelope
from worker.ordering.user_digests import UserKeys

EVENTS_OF_A_USER: Final = 16
"""On average: enough that retries, copies and other workers meet newer choices."""
_DOUBLED_SHARE: Final = 0.15
_ANYWHERE_SHARE: Final = 0.2
_UNKNOWN_SHARE: Final = 0.1
_BASE: Final = datetime(2024, 5, 1, tzinfo=UTC)
_SPAN_SECONDS: Final = 30
"""So short that some events of a user are of one moment."""


@dataclass(frozen=True)
class Customer:
    """One integration; `changes` are those to the usual one."""

    id: str
    changes: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def organization(self) -> str:
        return f"org-{self.id}"

    @property
    def dataset(self) -> str:
        return f"dataset-{self.id}"

    @property
    def takes_snapshots(self) -> bool:
        return self.changes.get("events") == "user"

    @property
    def looks_up(self) -> bool:
        return self.changes.get("upsert_mode") is False

    def email(self, user: int) -> str:
        return f"user{user}@{self.id}.example"

    def knows(self, user: int) -> bool:
        """Whether Adobe has a profile of the user, or gets one."""
        return not self.looks_up or user % round(1 / _UNKNOWN_SHARE) != 0

    def body(self, event: Event) -> bytes:
        """As Didomi sends it."""
        email = self.email(event.user)
        document = body(event, self.organization, email, is_snapshot=self.takes_snapshots)
        return json.dumps(document).encode()

    def told_id(self, event: Event, keys: UserKeys) -> str:
        """What workers with the secret of `keys` call it: a snapshot, whose id is a person's at
        Didomi, has a digest in its place.
        """
        return keys.without_person(open_envelope(self.body(event))).event_id


CUSTOMERS: Final = (
    Customer("batches"),
    Customer("single", {"limits": {"messages_per_request": 1}}),
    Customer("look-up", {"upsert_mode": False}),
    Customer("no-gap", {"limits": {"profile_gap_seconds": 0}}),
    Customer("snapshots", {"payload_mode": "xdm", "events": "user"}),
)


def draw(seed: int, count: int) -> dict[Customer, list[Event]]:
    """`count` events in all, evenly; those of a customer in no order."""
    chance = random.Random(f"{seed} events")
    share, rest = divmod(count, len(CUSTOMERS))
    drawn = {}
    for place, customer in enumerate(CUSTOMERS):
        events = share + (place < rest)
        users = max(1, events // EVENTS_OF_A_USER)
        drawn[customer] = [
            _event(chance, chance.randrange(users), customer.takes_snapshots) for _ in range(events)
        ]
    return drawn


def in_order_of_publishing(
    seed: int, drawn: dict[Customer, list[Event]]
) -> list[tuple[Customer, Event]]:
    """All of them, and some a second time, shuffled: most come out of order by a little, so that a
    user's newer choices meet older ones that are under way, and some come at any time.
    """
    chance = random.Random(f"{seed} order")
    all_of_them = [(customer, event) for customer, events in drawn.items() for event in events]
    all_of_them += chance.sample(all_of_them, round(len(all_of_them) * _DOUBLED_SHARE))

    def place(one: tuple[Customer, Event]) -> float:
        if chance.random() < _ANYWHERE_SHARE:
            return chance.uniform(0, _SPAN_SECONDS)
        _, event = one
        return (event.at - _BASE).total_seconds() + chance.gauss(0, _SPAN_SECONDS / 10)

    return sorted(all_of_them, key=place)


def _event(chance: random.Random, user: int, is_snapshot: bool) -> Event:
    event_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    at = _BASE + timedelta(seconds=chance.randint(0, _SPAN_SECONDS))
    if is_snapshot:  # a tie of two is settled by digests, of which nothing is known here
        at += timedelta(microseconds=chance.randrange(1_000_000))
    updated_at = None
    if not is_snapshot and chance.random() < 0.3:
        updated_at = at + timedelta(minutes=chance.randint(1, 2))
    kind: Kind = chance.choices(("choice", "says-nothing", "no-identity"), (96, 2, 2))[0]
    values: dict[str, bool | str] = {
        "news": chance.choice((True, False)),
        "offers": chance.choice((True, False)),
        "country": event_id[:8],  # by which a record tells whose it is
    }
    names = () if kind == "says-nothing" else chance.sample(list(values), chance.randint(1, 3))
    return Event(event_id, user, kind, at, updated_at, {name: values[name] for name in names})
