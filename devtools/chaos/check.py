"""What must hold after everything has healed. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from devtools.chaos.customers import Customer
from devtools.choices import Event, what_is_wrong

HOPELESS: Final = "no-identity"
"""The reason of dead letters that a replay can't help."""
_OWN_FAULTS: Final = frozenset({"unexpected-error", "invalid-headers", "unroutable"})
_ENDS: Final = frozenset({"delivered", "skipped"})

Key = tuple[str, str]
"""Integration and event."""
Profiles = Mapping[tuple[str, str], Mapping[str, Any] | None]
"""By integration and e-mail address: the attributes at Adobe."""


@dataclass(frozen=True)
class Letter:
    """One dead letter that is in the queue."""

    integration: str
    event_id: str
    reason: str


@dataclass(frozen=True)
class Ends:
    """What workers have told, by integration and event: `delivered`, or why it was skipped."""

    delivered: Counter[Key] = field(default_factory=Counter)
    skipped: Counter[Key] = field(default_factory=Counter)
    reasons: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By integration: how often for which reason."""

    @classmethod
    def of(cls, entries: Iterable[Mapping[str, Any]], ids: Mapping[str, str]) -> Ends:
        """By the workers' log at the level debug. A skip without a reason is no end. `ids` are
        those of events by what workers call them, where that is another name.
        """
        ends = cls()
        for entry in entries:
            kind = str(entry["event"]).removeprefix("delivery.")
            if kind not in _ENDS or kind == entry["event"]:
                continue
            told = str(entry["event_id"])
            key = (str(entry["integration"]), ids.get(told, told))
            if kind == "delivered":
                ends.delivered[key] += 1
            elif entry.get("reason"):
                ends.skipped[key] += 1
                ends.reasons[key[0]][str(entry["reason"])] += 1
        return ends


def lost(confirmed: Counter[Key], ends: Ends, letters: Sequence[Letter]) -> list[str]:
    """Events that were published for sure more often than they have ended: each time they must be
    at Adobe, skipped for a reason, or a dead letter.
    """
    dead = Counter((one.integration, one.event_id) for one in letters)
    problems = []
    for (integration, event_id), published in sorted(confirmed.items()):
        key = (integration, event_id)
        ended = ends.delivered[key] + ends.skipped[key] + dead[key]
        if ended < published:
            problems.append(
                f"{integration}: {event_id} was published {published} times and ended {ended} times"
            )
    return problems


def stale(
    drawn: Mapping[Customer, Sequence[Event]], profiles: Profiles, letters: Sequence[Letter]
) -> list[str]:
    """Final values that are not the newest by event time. What a dead letter holds need not be at
    Adobe.
    """
    dead = {(one.integration, one.event_id) for one in letters}
    problems = []
    for customer, events in drawn.items():
        by_user: defaultdict[int, list[Event]] = defaultdict(list)
        for event in events:
            by_user[event.user].append(event)

        def is_at_adobe(event: Event, customer: Customer = customer) -> bool:
            return (customer.id, event.id) not in dead

        for user, theirs in sorted(by_user.items()):
            problems += [
                f"{customer.id}: of user {user} {wrong}"
                for wrong in what_is_wrong(
                    theirs if customer.knows(user) else [],
                    _plain(profiles.get((customer.id, customer.email(user)))),
                    is_at_adobe,
                    are_snapshots=customer.takes_snapshots,
                )
            ]
    return problems


def beyond_hope(drawn: Mapping[Customer, Sequence[Event]], letters: Sequence[Letter]) -> list[str]:
    """Dead letters that a replay should have helped, and events that should be one and are none."""
    hopeless = {
        (customer.id, event.id)
        for customer, events in drawn.items()
        for event in events
        if event.kind == HOPELESS
    }
    dead = {(one.integration, one.event_id) for one in letters}
    problems = [
        f"{one.integration}: {one.event_id} is a dead letter after the replay ({one.reason})"
        for one in letters
        if (one.integration, one.event_id) not in hopeless
    ]
    return problems + [
        f"{integration}: {event_id} is no dead letter, though it names nobody"
        for integration, event_id in sorted(hopeless - dead)
    ]


def own_faults(entries: Iterable[Mapping[str, Any]], letters: Sequence[Letter]) -> list[str]:
    """What no outage and no loss explains."""
    problems = [
        f"a worker logged {entry['event']} ({entry.get('exception', entry.get('error', ''))})"
        for entry in entries
        if "unexpected" in str(entry["event"])
    ]
    return problems + [
        f"{one.integration}: {one.event_id} is a dead letter ({one.reason})"
        for one in letters
        if one.reason in _OWN_FAULTS
    ]


def _plain(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if record is None else dict(record)
