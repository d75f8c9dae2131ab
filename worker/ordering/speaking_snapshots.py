"""Which snapshots speak: of each Didomi user the newest, if that user is known at all. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from worker.ordering.newest_fold import Choices, pair_of
from worker.ordering.stamp import WHOLE_RECORD, Stamp, newest_of
from worker.ordering.verdicts import Verdict
from worker.transform.decision_types import Source


class Statuses(Choices, Protocol):
    """What the fold must know of an event or a snapshot beyond its choices, see `Deliver`."""

    @property
    def sources(self) -> Mapping[str, Source] | None: ...
    @property
    def absent(self) -> Mapping[str, Any]: ...
    @property
    def is_silent_if_unknown(self) -> bool: ...


def not_speaking(events: Sequence[Statuses], stamps: Mapping[str, Stamp]) -> dict[int, Verdict]:
    """The places of the events that have nothing to say: snapshots because a newer one of the same
    Didomi user has spoken or is about to, or because of that Didomi user nothing is known; and what
    is of before a whole record of an older worker.
    """
    settled = _before_the_record(events, stamps)
    waiting: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        if event.didomi_user is None or place in settled:
            continue
        accepted, own = _newest_accepted(event.didomi_user, stamps), pair_of(event)[0]
        if accepted is None or own > accepted:
            waiting.setdefault(event.didomi_user, []).append(place)
        else:
            settled[place] = Verdict.DUPLICATE if own == accepted else Verdict.SUPERSEDED
    for didomi_user, places in waiting.items():
        is_known = _newest_accepted(didomi_user, stamps) is not None
        if not is_known and all(events[place].is_silent_if_unknown for place in places):
            settled |= dict.fromkeys(places, Verdict.SAYS_NOTHING)
            continue
        speaker = max(places, key=lambda place: (*_order(events[place]), -place))
        for place in places:
            is_copy = _order(events[place]) == _order(events[speaker])
            if place != speaker:
                settled[place] = Verdict.FOLLOWS if is_copy else Verdict.YIELDS
    return settled


def _order(event: Statuses) -> tuple[Stamp, str]:
    """One id and time with two contents is a producer's mistake; the value decides, so that at
    least every worker decides alike.
    """
    return pair_of(event)[0], repr(sorted(event.attributes.items()))


def _newest_accepted(didomi_user: str, stamps: Mapping[str, Stamp]) -> Stamp | None:
    found = [stamps[name] for name in newest_of(didomi_user) if name in stamps]
    return max(found, default=None)


def _before_the_record(
    events: Sequence[Statuses], stamps: Mapping[str, Stamp]
) -> dict[int, Verdict]:
    """Those of before a whole record that a worker before 0.2 has sent."""
    record = stamps.get(WHOLE_RECORD)
    if record is None:
        return {}
    return {
        place: Verdict.SUPERSEDED
        for place, event in enumerate(events)
        if event.event_time_ms < record.time_ms
    }
