"""One replay or discard while it runs: where it stands, and how far it came. Told to everybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from worker.broker.dead_letter import receipted_integration
from worker.console.dead_letters.asked import Asked
from worker.evidence.receipt import OutcomeName
from worker.interrupt import Stop
from worker.ledger.replay_prospects import LifeOutcome
from worker.letters.canary import CanaryVerdict
from worker.letters.letter_events import OpenedLetter
from worker.letters.letter_key import LetterKeys
from worker.letters.letter_work import LetterWork
from worker.reasons import SkipReason

_MOST_SHOWN: Final = 10
"""Lives of each outcome to which the page of an act leads."""
Stage = Literal["begins", "searches", "canary", "rest", "away", "done", "stopped", "failed"]
OVER: Final = frozenset({"done", "stopped", "failed"})
_FINAL: Final = frozenset({"delivered", "skipped", "dead"})
_MOST_KEYS: Final = 200_000
"""Whose fate is followed, some 25 MB."""


@dataclass(slots=True)
class Fates:
    """What became of the events that were replayed, by receipts: by the keys of their new lives."""

    open: set[bytes] = field(default_factory=set)
    counts: Counter[OutcomeName] = field(default_factory=Counter)
    skips: Counter[str] = field(default_factory=Counter)
    """By their reasons."""
    ended: dict[OutcomeName, list[bytes]] = field(default_factory=dict)
    """The keys of some of the new lives, by how they have ended."""
    unfollowed: int = 0
    """Events of which nobody can tell, or that are beyond the bound."""

    def follow(self, opened: OpenedLetter, keys: LetterKeys) -> None:
        """The events of a dead letter that was just replayed are followed."""
        for event in opened.chosen:
            if receipted_integration(event.letter) is None or len(self.open) >= _MOST_KEYS:
                self.unfollowed += 1  # one of no known integration may go to any, and to many
            else:
                self.open.add(keys.key_of(event, is_next=True))

    def learn(self, outcomes: Mapping[bytes, LifeOutcome]) -> None:
        """How some lives of replayed events stand."""
        for key, (outcome, reason) in outcomes.items():
            if outcome in _FINAL and key in self.open:
                self.open.discard(key)
                self.counts[outcome] += 1
                if self.counts[outcome] <= _MOST_SHOWN:
                    self.ended.setdefault(outcome, []).append(key)
                if outcome == "skipped":
                    self.skips[reason] += 1

    @property
    def needless(self) -> int:
        """Events that were skipped since Adobe has the choice, or a newer one."""
        return self.skips[SkipReason.SUPERSEDED] + self.skips[SkipReason.DUPLICATE]

    @property
    def are_clear(self) -> bool:
        """Whether all replayed events have ended, none as a dead letter, and one at least was
        delivered: one that is skipped does not show that Adobe takes any.
        """
        is_known = not self.open and not self.unfollowed
        return is_known and not self.counts["dead"] and self.counts["delivered"] > 0


@dataclass(slots=True)
class LetterAct:
    """A replay or a discard. `who` is known by name, or by `role` alone. Times are in ms since
    1970. `handled_before` are the letters of works that ended; `said` is why it waits or failed, ""
    otherwise. `stopped_by` is who asked first to stop it, "" for nobody. `paced_from` is when the
    present pace began, and how many were handled by then.
    """

    id: str
    asked: Asked
    who: str
    role: str
    began_at: int
    keys: LetterKeys
    stage: Stage = "begins"
    stop: Stop = field(default_factory=Stop)
    stopped_by: str = ""
    fates: Fates = field(default_factory=Fates)
    work: LetterWork | None = None
    verdict: CanaryVerdict | None = None
    handled_before: int = 0
    kept: int = 0
    kept_why: list[tuple[str, str]] = field(default_factory=list)
    held_back: int = 0
    seen: int = 0
    total: int = 0
    away_since: int | None = None
    tries: int = 0
    said: str = ""
    paced_from: tuple[int, int] | None = None
    ended_at: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether the replay or discard has ended, however."""
        return self.stage in OVER

    @property
    def must_end(self) -> bool:
        """Whether the act on dead letters must go no further: somebody has stopped it, or the
        canaries failed.
        """
        verdict = self.canaries
        return self.stop.is_asked or (verdict is not None and bool(verdict.trouble))

    @property
    def handled(self) -> int:
        """Events replayed or discarded so far."""
        return self.handled_before + (0 if self.work is None else self.work.tally.handled)

    @property
    def to_come(self) -> int:
        """The dead letters that were shown in the preview and are still to be handled."""
        return 0 if self.is_over else max(0, self.asked.letters - self.handled)

    @property
    def canaries(self) -> CanaryVerdict | None:
        """What became of a replay's canaries; None while nobody knows, and where there are none."""
        return self.verdict or (None if self.work is None else self.work.tally.verdict)

    @property
    def result(self) -> str:
        """What the act on dead letters came to, as a sentence for the trail."""
        by = f" by {self.stopped_by}" if self.stage == "stopped" and self.stopped_by else ""
        word = f"{self.stage}{by}"
        said = f"{word}: {self.said}" if self.said else word
        dead = self.fates.counts["dead"]
        return f"{said}; {dead} died again" if dead else said

    @property
    def is_replay(self) -> bool:
        """Whether dead letters are sent on their way, and not taken off for good."""
        return self.asked.verb == "replayed"

    def note_broker(self, said: str = "") -> None:
        """The broker is there for the act on dead letters; `said` is why it waits all the same, ""
        where it works from now on.
        """
        if self.stage == "away":
            self.stage = "begins"
        self.away_since, self.tries, self.said = None, 0, said
        self.paced_from = None

    def begin_pass(self, stage: Literal["canary", "rest"], total: int, now_ms: int) -> None:
        """So many letters are gone through from `now_ms` (ms since 1970) on, for the canaries or
        for all others.
        """
        self.seen, self.total, self.stage = 0, total, stage
        if stage == "rest" and self.paced_from is None:
            self.paced_from = now_ms, self.handled

    def note_replayed(self, opened: OpenedLetter) -> None:
        """A dead letter was just replayed: what becomes of its events is followed."""
        self.fates.follow(opened, self.keys)

    def finish_work(self, *, met_all: bool = False) -> None:
        """What the present work on the dead letters came to is added up. One that `met_all` the
        letters that were left has met again what the works before it have kept.
        """
        work = self.work
        if work is None:
            return
        if met_all:
            self.kept, self.kept_why, self.held_back = 0, [], 0
        self.handled_before += work.tally.handled
        self.kept += work.tally.kept_count
        self.kept_why += work.tally.kept
        self.held_back += work.guard.held_back
        self.verdict = self.verdict or work.tally.verdict
        self.work = None

    def seconds_left(self, now_ms: int) -> float | None:
        """Seconds until the replay or discard ends, as it goes by now; None where nobody knows. How
        long canaries took, or the broker was away, says nothing about that.
        """
        if self.stage != "rest" or self.paced_from is None:
            return None
        if self.asked.rate:
            return self.to_come / self.asked.rate
        took, done = now_ms - self.paced_from[0], self.handled - self.paced_from[1]
        return self.to_come * took / 1000 / done if took > 0 and done > 0 else None

    def counts(self) -> dict[str, int]:
        """The counts of the act on dead letters, for the trail."""
        said = {"letters": self.asked.letters, "withdrawals": self.asked.withdrawals}
        said |= {self.asked.verb: self.handled, "kept": self.kept, "held_back": self.held_back}
        return said | {name: count for name, count in self.fates.counts.items() if count}
