"""Histories: what some users choose at one customer, how that is published, and what goes wrong.

A history follows from its seed alone. Here are those of single choices with all that can go wrong;
`soak_histories` has those of what Didomi's documents hold beside them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from devtools.choices import LONG_AGO, Event, Kind, body, mappings, what_is_wrong
from tests.truth.faults import draw_fault, draw_limits
from tests.truth.history import MAX_USERS, History, Pause, Publish, Stage, event_id_of
from tests.truth.ledger import Ledger

Mode = Literal["choices", "look-up"]

_BASE = datetime(2024, 5, 1, tzinfo=UTC)
_COUNTRIES = ("DE", "FR", "IT")


@dataclass
class ChoiceHistory(History):
    """Single choices, and nothing but them."""

    mode: Mode = "choices"

    @property
    def hopeless(self) -> set[str]:
        return {one.id for one in self.published if one.kind == "no-identity"}

    def document(self, event: Event) -> dict[str, Any]:
        return body(event, self.organization, self.email(event.user), is_snapshot=False)

    def integration(self) -> dict[str, Any]:
        return {
            "mappings": mappings(),
            "upsert_mode": self.mode != "look-up",
            "payload_mode": "upsert",
            "events": "event",
        }

    def known_before(self) -> Iterable[str]:
        return map(self.email, range(self.users)) if self.mode == "look-up" else ()

    def wrong(self, target: str, user: int, record: Any, ledger: Ledger) -> list[str]:
        return what_is_wrong(
            [one for one in self.published if one.user == user],
            record,
            lambda event: ledger.fates[target, event.id].is_at_adobe,
            are_snapshots=False,
        )

    def described(self) -> str:
        return self.mode


def make_history(seed: int) -> ChoiceHistory:
    """The history of `seed`."""
    chance = random.Random(seed)
    mode: Mode = chance.choices(("choices", "look-up"), (6, 1))[0]
    targets = [f"h{seed}-a", f"h{seed}-b"][: chance.choice((1, 1, 1, 2))]
    history = ChoiceHistory(seed, targets, draw_limits(chance), mode=mode)
    users = chance.randint(1, MAX_USERS)
    for number in range(chance.randint(4, 16)):
        if chance.random() < 0.35:
            history.steps.append(Stage(draw_fault(chance, targets, looks_up=mode == "look-up")))
        if chance.random() < 0.3:
            history.steps.append(Pause(chance.uniform(0, 0.6)))
        event = _event(chance, event_id_of(seed, number), chance.randrange(users))
        history.steps.append(Publish(event))
        if chance.random() < 0.2:
            history.steps.append(Publish(chance.choice(history.published)))
    return history


def _event(chance: random.Random, event_id: str, user: int) -> Event:
    at = LONG_AGO if chance.random() < 0.03 else _BASE + timedelta(seconds=chance.randint(0, 6))
    updated_at = None
    if chance.random() < 0.3:
        updated_at = _BASE + timedelta(minutes=chance.randint(1, 2))
    kind: Kind = chance.choices(("choice", "says-nothing", "no-identity"), (18, 1, 1))[0]
    values: dict[str, bool | str] = {
        "news": chance.choice((True, False)),
        "offers": chance.choice((True, False)),
        "country": chance.choice(_COUNTRIES),
    }
    names = () if kind == "says-nothing" else chance.sample(list(values), chance.randint(1, 3))
    return Event(event_id, user, kind, at, updated_at, {name: values[name] for name in names})
