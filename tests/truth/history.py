"""What a history is: a customer, what is published for it, and what goes wrong meanwhile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from devtools.choices import Event
from devtools.soak.statements import Statement
from tests.truth.ledger import Ledger
from worker.redaction import shown_id

MAX_USERS = 5


@dataclass(frozen=True)
class Publish:
    event: Event | Statement

    def __str__(self) -> str:
        one = self.event
        if isinstance(one, Statement):
            return f"publish {one}"
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


@dataclass(frozen=True)
class Rest:
    """Until all that was published before has ended, or for so long."""

    most_seconds: float

    def __str__(self) -> str:
        return "wait until all of it has ended"


@dataclass
class History(ABC):
    """One customer with an integration or two, and what happens there, step by step."""

    seed: int
    targets: list[str]
    limits: dict[str, Any]
    steps: list[Publish | Stage | Pause | Rest] = field(default_factory=list)

    users = MAX_USERS
    may_discard = True
    """Whether an operator may throw dead letters away."""

    @property
    def organization(self) -> str:
        return f"org-{self.seed}"

    @property
    def published(self) -> list[Any]:
        """In the order of publishing; copies are in it as often as they were published."""
        return [step.event for step in self.steps if isinstance(step, Publish)]

    @property
    def hopeless(self) -> set[str]:
        """Ids of the events that end as dead letters, whatever is done."""
        return set()

    def email(self, user: int) -> str:
        return f"user{user}@{self.organization}.example"

    @abstractmethod
    def document(self, event: Any) -> dict[str, Any]:
        """The event as Didomi sends it."""

    @abstractmethod
    def integration(self) -> dict[str, Any]:
        """What its integrations say of themselves."""

    def set_up(self, target: str) -> dict[str, Any]:
        """What the emulator must know of an integration's inlet."""
        return {}

    def known_before(self) -> Iterable[str]:
        """The e-mail addresses of which Adobe knows a profile already."""
        return ()

    @abstractmethod
    def wrong(self, target: str, user: int, record: Any, ledger: Ledger) -> list[str]:
        """What is wrong with what stands below `_acme` of the record of a user, or None."""

    def __str__(self) -> str:
        head = f"history {self.seed}: {self.described()} at {', '.join(self.targets)}"
        return "\n".join([f"{head} with {self.limits}", *(f"  {step}" for step in self.steps)])

    @abstractmethod
    def described(self) -> str:
        """What happens in it, in a few words."""


def event_id_of(seed: int, number: int) -> str:
    """Of a shape that workers keep as it is: by what they keep of an id a tie is decided."""
    event_id = f"e0{seed:x}-{number}"
    assert shown_id(event_id) == event_id
    return event_id
