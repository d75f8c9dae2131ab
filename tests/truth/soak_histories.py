"""Histories of the soak: devices, snapshots, deletions, emptied preferences and changed events, on
both kinds of inlet. What they must end with is said by `devtools.soak.oracle`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Self

from devtools.soak.customer import Customer, Kind
from devtools.soak.oracle import what_is_wrong
from devtools.soak.statements import BASE, Device, Statement, document, draw_event
from tests.truth.faults import draw_fault, draw_limits
from tests.truth.history import History, Pause, Publish, Rest, Stage, event_id_of
from tests.truth.ledger import Ledger

_REST_SECONDS = 3.0


@dataclass
class SoakHistory(History):
    """`name` tells copies of one history apart, which are played at the same time."""

    customer: Customer = field(kw_only=True)
    name: str = field(kw_only=True)

    may_discard = False

    @property
    def organization(self) -> str:
        return f"org-{self.name}"

    def only(self, kept: Iterable[int], name: str) -> Self:
        """The same with these of its steps alone, by their numbers from 0."""
        steps = [self.steps[number] for number in kept]
        target = f"h{name}"
        renamed = [_at(step, target) for step in steps]
        return replace(self, name=name, targets=[target], steps=renamed)

    def document(self, event: Statement) -> dict[str, Any]:
        return document(event, self.organization, self.email(event.person))

    def integration(self) -> dict[str, Any]:
        return self.customer.integration()

    def set_up(self, target: str) -> dict[str, Any]:
        return self.customer.set_up(target)

    def wrong(self, target: str, user: int, record: Any, ledger: Ledger) -> list[str]:
        said = [one for one in self.published if one.person == user]
        return what_is_wrong(self.customer, said, record or {}, _Fates(ledger, target))

    def described(self) -> str:
        return str(self.customer)


@dataclass
class _Fates:
    """The course of things by the ledger, for the oracle."""

    ledger: Ledger
    target: str

    def was_delivered(self, said: Statement) -> bool:
        return self.ledger.fates[self.target, said.id].ended["delivered"] > 0

    def was_kept_before(self, first: Statement, then: Statement) -> bool:
        """What came twice, or lost its worker, may have ended later than it was told first."""
        one, other = (self.ledger.fates[self.target, said.id] for said in (first, then))
        is_sure = one.published == 1 and not one.redelivered and one.ended_at is not None
        return is_sure and (one.ended_at or 0.0) < (other.published_at or 0.0)


def make_soak_history(kind: Kind, seed: int) -> SoakHistory:
    """The history of a kind and a seed."""
    chance = random.Random(f"{kind} {seed}")
    customer = Customer.draw(chance, kind)
    target = f"h{seed}"
    history = SoakHistory(seed, [target], draw_limits(chance), customer=customer, name=str(seed))
    said = _snapshots if customer.takes_snapshots else _events
    for one in said(chance, seed):
        if chance.random() < 0.2:
            history.steps.append(Stage(draw_fault(chance, [target], looks_up=False)))
        history.steps.append(Publish(one))
        if chance.random() < 0.15:
            history.steps.append(Publish(chance.choice(history.published)))
        if chance.random() < 0.4:
            history.steps.append(Rest(_REST_SECONDS))
        elif chance.random() < 0.2:
            history.steps.append(Pause(chance.uniform(0, 0.6)))
    return history


def _events(chance: random.Random, seed: int) -> list[Statement]:
    """Their times are drawn, so that they come in any order."""
    said: list[Statement] = []
    persons = chance.randint(1, 2)
    for number in range(chance.randint(3, 10)):
        said.append(draw_event(chance, event_id_of(seed, number), chance.randrange(persons), said))
    return said


def _snapshots(chance: random.Random, seed: int) -> list[Statement]:
    """In the order in which Didomi computes them, but for some that come late."""
    persons = chance.randint(1, 2)
    devices = [
        Device(f"device-{seed}-{person}-{number}", person)
        for person in range(persons)
        for number in range(chance.choice((1, 2, 2, 3)))
    ]
    said, at = [], BASE
    for number in range(chance.randint(3, 10)):
        at += timedelta(seconds=chance.choice((0, 1, 2)))
        said.append(chance.choice(devices).act(chance, event_id_of(seed, number), at))
    for _ in range(chance.choice((0, 1, 2, 4))):
        late = said.pop(chance.randrange(len(said)))
        said.insert(chance.randint(0, len(said)), late)
    return said


def _at(step: Any, target: str) -> Any:
    """A fault is staged at the copy's own inlet."""
    if not isinstance(step, Stage):
        return step
    is_of_token = step.description["target"] == "token"
    return Stage(step.description | {"key": f"client-{target}" if is_of_token else target})
