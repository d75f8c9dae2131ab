"""What is told of every event: the observer of all workers of a fleet, and the count in the end."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from worker.adobe.replies import Accepted
from worker.broker.headers import BUNDLE, INTEGRATION, RETURNS
from worker.broker.message import Host, Incoming
from worker.delivery.bundles.bundle_format import unpack
from worker.delivery.delivery import Delivery
from worker.delivery.outcome import Dead, Failure, Outcome, Parked, Retried, Skipped
from worker.delivery.pipeline import Pipeline
from worker.events import open_envelope
from worker.ordering.user_digests import UserKeys


@dataclass
class Fate:
    """Of one event at one integration: how often it was published, given back by the broker, and
    replayed, or discarded, as a dead letter; how often a repeat of it was planned, and ended; how
    often it was told to have ended itself; and all that was told, in order. `published_at` is when
    it was so first, `ended_at` when it ended last but as a dead letter, in seconds of the clock
    `time.monotonic`.
    """

    published: int = 0
    published_at: float | None = None
    ended_at: float | None = None
    redelivered: int = 0
    replayed: int = 0
    discarded: int = 0
    repeats_planned: int = 0
    repeats_ended: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        return self.ended.total() >= self.published + self.replayed

    @property
    def is_at_adobe(self) -> bool:
        """Whether it must be there, or something newer. What was never accepted and is discarded in
        the end may be: Adobe may have taken it without an answer. What was overwritten late is not,
        where its repeat is discarded.
        """
        if self.discarded and self._repeats_given_up:
            return False
        return not self.discarded or bool(self.ended.keys() - {"dead"})

    @property
    def _repeats_given_up(self) -> int:
        return max(0, self.repeats_planned - self.repeats_ended)

    def problem(self) -> str:
        """Whether it was lost or counted twice; empty if neither.

        One end for each time that it was published or replayed. Beyond that, one more for each
        time that a worker was lost with the message in its hands: what it had told, the next one
        tells again. And one for each repeat that was given up, and not replayed.
        """
        due = self.published + self.replayed
        told = self.ended.total()
        if due <= told <= due + self.redelivered + self._repeats_given_up:
            return ""
        return (
            f"published {self.published}, replayed {self.replayed}, redelivered {self.redelivered} "
            f"times, but ended {told} times: {dict(self.ended)}"
        )


class Names:
    """How events are called: by the histories, by the workers, and by their bodies."""

    def __init__(self) -> None:
        self._users = UserKeys()
        self._by_body: dict[bytes, tuple[str, str]] = {}
        self._told: dict[str, str] = {}

    def give(self, body: bytes, organization: str, event_id: str) -> None:
        """What is published as `body` for an organization is called `event_id`."""
        self._by_body[body] = organization, event_id
        self._told[self._users.without_person(open_envelope(body)).event_id] = event_id

    def of_body(self, body: bytes) -> tuple[str, str]:
        """Organization and event."""
        return self._by_body[body]

    def of_told(self, told: str) -> str:
        """The event that a worker calls `told`."""
        return self._told.get(told, told)


class Ledger:
    """The fates by integration and event."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.names = Names()
        self.fates: defaultdict[tuple[str, str], Fate] = defaultdict(Fate)
        self.parked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.dead: Counter[str] = Counter()
        self.repeats = 0

    def publish(self, integration_id: str, event_id: str) -> None:
        fate = self.write(integration_id, event_id, "published")
        fate.published += 1
        if fate.published_at is None:
            fate.published_at = time.monotonic()

    def write(self, integration_id: str, event_id: str, what: str) -> Fate:
        fate = self.fates[integration_id, event_id]
        fate.story.append(f"{time.monotonic() - self.began:7.3f} {what}")
        return fate


class Teller:
    """Writes down what one worker tells; the pipeline's observer."""

    def __init__(self, ledger: Ledger, worker: str) -> None:
        self._ledger = ledger
        self._worker = worker

    def outcome(self, integration_id: str, outcome: Outcome, seconds: float, event_id: str) -> None:
        ledger = self._ledger
        match outcome:
            case Skipped(reason):
                ledger.skipped[reason] += 1
                self._end(integration_id, event_id, "skipped", f"skipped ({reason})")
            case Dead(reason, failure):
                ledger.dead[reason] += 1
                what = f"dead ({reason}: {failure.error})"
                self._write(integration_id, event_id, what).ended["dead"] += 1
            case Retried(delay, failure):
                ledger.failed[failure.error] += 1
                self._write(integration_id, event_id, f"retried in {delay:.2f} s ({failure.error})")
            case Parked(delay, reason):
                ledger.parked[reason] += 1
                self._write(integration_id, event_id, f"parked for {delay:.2f} s ({reason})")

    def delivered(self, integration_id: str, accepted: list[tuple[Delivery, Accepted]]) -> None:
        for delivery, _ in accepted:
            self._end(integration_id, delivery.choice.event_id, "delivered", "delivered")

    def accepted_late(self, integration_id: str, accepted: list[tuple[Delivery, Accepted]]) -> None:
        for delivery, _ in accepted:
            self._write(integration_id, delivery.choice.event_id, "accepted late")

    def delivered_late(self, integration_id: str, delivery: Delivery) -> None:
        self._end(integration_id, delivery.choice.event_id, "delivered", "delivered late")

    def repeat_planned(self, integration_id: str, event_id: str, delay_seconds: float) -> None:
        self._ledger.repeats += 1
        what = f"to be repeated in {delay_seconds:.2f} s"
        self._write(integration_id, event_id, what).repeats_planned += 1

    def repeat_ended(self, integration_id: str, event_id: str, end: str, seconds: float) -> None:
        self._write(integration_id, event_id, f"repeat: {end}").repeats_ended += 1

    def parked_again(self, integration_id: str, reason: str, events: int) -> None:
        self._ledger.parked["again"] += events

    def came_back(self, kind: str, late_seconds: float) -> None:
        """How late it is changes nothing."""

    def blocked(self, integration_id: str, failure: Failure) -> None:
        """Told of each of its events anyway."""

    def unblocked(self, integration_id: str) -> None:
        """Told of each of its events anyway."""

    def _end(self, integration_id: str, event_id: str, end: str, what: str) -> None:
        fate = self._write(integration_id, event_id, what)
        fate.ended[end] += 1
        fate.ended_at = time.monotonic()

    def _write(self, integration_id: str, event_id: str, what: str) -> Fate:
        event_id = self._ledger.names.of_told(event_id)
        return self._ledger.write(integration_id, event_id, f"{self._worker}: {what}")


class Door:
    """Stands before the pipeline, and counts what the broker had to give out again."""

    def __init__(self, pipeline: Pipeline, ledger: Ledger, targets: dict[str, list[str]]) -> None:
        self._pipeline = pipeline
        self._ledger = ledger
        self._targets = targets

    def handle(self, message: Incoming) -> None:
        if RETURNS in message.headers:
            is_bundle = BUNDLE in message.headers
            bodies = [body for _, body in unpack(message.body)] if is_bundle else [message.body]
            for body in bodies:
                self._count(body, message.headers.get(INTEGRATION))
        self._pipeline.handle(message)

    def _count(self, body: bytes, named: str | None) -> None:
        organization, event_id = self._ledger.names.of_body(body)
        for target in [named] if named else self._targets[organization]:
            self._ledger.write(target, event_id, "given back to the broker").redelivered += 1

    def give_back(self, host: Host) -> None:
        self._pipeline.give_back(host)

    def session_ended(self, host: Host) -> None:
        self._pipeline.session_ended(host)
