"""Which dead letters are meant. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from worker.broker.dead_letter import DeadLetter, fingerprint_of
from worker.reasons import NO_INTEGRATION


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters are meant: an empty filter means all. Times are in ms since 1970, of the
    moment at which a letter died, and belong to the span; `event` is what the event is called, by
    its body. `ids` are those of some letters, as `id` is that of one.
    """

    integration: str | None = None
    reason: str | None = None
    error: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    id: str | None = None
    event: str | None = None
    group: str | None = None
    ids: frozenset[str] | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Whether the dead letter is meant, but for its event; one of unknown age is never matched
        by time.
        """
        return (
            self.id in (None, letter.id)
            and (self.ids is None or letter.id in self.ids)
            and self.integration in (None, letter.integration or NO_INTEGRATION)
            and self.reason in (None, letter.reason)
            and self.error in (None, letter.error)
            and self._spans(letter.dead_at_ms)
            and (self.group is None or fingerprint_of(letter).group == self.group)
        )

    def _spans(self, dead_at_ms: int | None) -> bool:
        if self.since_ms is None and self.until_ms is None:
            return True
        if dead_at_ms is None:
            return False
        return (self.since_ms is None or dead_at_ms >= self.since_ms) and (
            self.until_ms is None or dead_at_ms <= self.until_ms
        )
