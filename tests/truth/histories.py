"""Histories: what some users choose at one customer, how that is published, and what goes wrong.

A history follows from its seed alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from devtools.choices import LONG_AGO, Event, Kind

Mode = Literal["choices", "look-up", "snapshots"]

MAX_USERS = 5
LATEST_MS = 3000
"""Of a request that is carried out late: within the lease of a worker that dies meanwhile."""
_BASE = datetime(2024, 5, 1, tzinfo=UTC)
_COUNTRIES = ("DE", "FR", "IT")
_ODD_REPLIES: tuple[Any, ...] = (
    {"responses": []},
    {"responses": [{"status": "odd"}, {"statusCode": 7}]},
    {"responses": "none"},
    "<html>",
)


@dataclass(frozen=True)
class Publish:
    event: Event

    def __str__(self) -> str:
        one = self.event
        updated = f", updated {one.updated_at:%d. %H:%M:%S}" if one.updated_at else ""
        said = one.attributes or one.kind
        return f"publish {one.id} of user {one.user}, {one.at:%Y-%m-%d %H:%M:%S}{updated}: {said}"


@dataclass(frozen=True)
class Stage:
    """A fault; `description` are the fields of the emulator's `Fault`."""

    description: dict[str, Any]

    def __str__(self) -> str:
        return f"stage {self.description}"


@dataclass(frozen=True)
class Pause:
    seconds: float

    def __str__(self) -> str:
        return f"pause {self.seconds:.2f} s"


@dataclass
class History:
    """One customer with an integration or two, and what happens there, step by step."""

    seed: int
    mode: Mode
    targets: list[str]
    limits: dict[str, Any]
    steps: list[Publish | Stage | Pause] = field(default_factory=list)

    @property
    def organization(self) -> str:
        return f"org-{self.seed}"

    @property
    def are_snapshots(self) -> bool:
        """Whether its integrations take whole states of users, in place of choices."""
        return self.mode == "snapshots"

    @property
    def published(self) -> list[Event]:
        """In the order of publishing; copies are in it as often as they were published."""
        return [step.event for step in self.steps if isinstance(step, Publish)]

    def email(self, user: int) -> str:
        return f"user{user}@h{self.seed}.example"

    def __str__(self) -> str:
        lines = [
            f"history {self.seed}: {self.mode} at {', '.join(self.targets)} with {self.limits}"
        ]
        return "\n".join(lines + [f"  {step}" for step in self.steps])


def make_history(seed: int) -> History:
    """The history of `seed`."""
    chance = random.Random(seed)
    mode: Mode = chance.choices(("choices", "look-up", "snapshots"), (6, 1, 1))[0]
    targets = [f"h{seed}-a", f"h{seed}-b"][: chance.choice((1, 1, 1, 2))]
    limits = {
        "messages_per_request": chance.choice((1, 3, 200, 200)),
        "requests_in_flight": chance.choice((1, 1, 8)),
        "requests_per_second": chance.choice((None, 2, 5)),
        "events_held": chance.choice((2, 1000, 1000, 1000)),
        "profile_gap_seconds": chance.choice((0, 0.05, 0.5)),
    }
    history = History(seed, mode, targets, limits)
    users = chance.randint(1, MAX_USERS)
    for number in range(chance.randint(4, 16)):
        if chance.random() < 0.35:
            history.steps.append(Stage(_fault(chance, history)))
        if chance.random() < 0.3:
            history.steps.append(Pause(chance.uniform(0, 0.6)))
        event = _event(chance, f"{seed}-{number}", chance.randrange(users), mode)
        history.steps.append(Publish(event))
        if chance.random() < 0.2:
            history.steps.append(Publish(chance.choice(history.published)))
    return history


def _event(chance: random.Random, event_id: str, user: int, mode: Mode) -> Event:
    at = LONG_AGO if chance.random() < 0.03 else _BASE + timedelta(seconds=chance.randint(0, 6))
    updated_at = None
    if mode != "snapshots" and chance.random() < 0.3:
        updated_at = _BASE + timedelta(minutes=chance.randint(1, 2))
    kind: Kind = chance.choices(("choice", "says-nothing", "no-identity"), (18, 1, 1))[0]
    values: dict[str, bool | str] = {
        "news": chance.choice((True, False)),
        "offers": chance.choice((True, False)),
        "country": chance.choice(_COUNTRIES),
    }
    names = () if kind == "says-nothing" else chance.sample(list(values), chance.randint(1, 3))
    return Event(event_id, user, kind, at, updated_at, {name: values[name] for name in names})


def _fault(chance: random.Random, history: History) -> dict[str, Any]:
    target = chance.choice(history.targets)
    times = chance.choice((1, 1, 2, 3, 6))
    kind = chance.choice(
        ("away", "away", "refused", "set-up", "odd", "hang", "reset", "half", "slow")
        + ("late",) * 3
        + ("partial",) * 3
        + ("token", "look-up") * (history.mode == "look-up")
        + ("token",)
    )
    fault: dict[str, Any] = {"target": "collection", "key": target, "times": times}
    match kind:
        case "away":
            status = chance.choice((500, 500, 503, 429, 404, 302))
            return fault | {
                "kind": "status",
                "status": status,
                "times": chance.choice((times, times, 40)),
                "retry_after": chance.choice((None, None, "1")),
            }
        case "refused":
            return fault | {"kind": "status", "status": chance.choice((400, 413, 422))}
        case "set-up":
            return fault | {"kind": "refuse-token"}
        case "odd":
            return fault | {"kind": "status", "status": 207, "body": chance.choice(_ODD_REPLIES)}
        case "hang":
            return fault | {"kind": "hang", "times": chance.randint(1, 2)}
        case "late":
            kind_of_answer = chance.choice(("status", "status", "hang", "reset"))
            applied_after_ms = chance.randint(100, LATEST_MS)
            how = {"kind": kind_of_answer, "status": chance.choice((502, 504))}
            return fault | how | {"applied_after_ms": applied_after_ms}
        case "reset":
            return fault | {"kind": "reset"}
        case "half":
            return fault | {"kind": "reset-after-processing"}
        case "slow":
            return fault | {"kind": "latency", "latency_ms": chance.randint(20, 1300)}
        case "partial":
            status = chance.choice((400, 429, 500, 503))
            return fault | {"kind": "partial", "times": 20, "status": status}
        case "token":
            kind_of_token = chance.choice(("status", "refuse-token", "reset"))
            key = f"client-{target}"
            return {"target": "token", "key": key, "kind": kind_of_token, "times": 1}
        case _:
            status = chance.choice((400, 403, 429, 503))
            key = f"key-{target}"
            return {"target": "lookup", "key": key, "kind": "status", "status": status, "times": 1}
