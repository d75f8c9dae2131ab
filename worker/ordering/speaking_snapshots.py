"""Which snapshots speak: of each Didomi user the newest, if that user is known at all. Pure.

Two that say different things at one moment, without versions that tell them apart, both speak: by
attribute a refusal wins, whichever of them comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from worker.ordering.newest_fold import Choices, pair_of, stamps_of
from worker.ordering.stamp import WHOLE_RECORD, Said, Stamp, is_path, newest_of
from worker.ordering.user_digests import both_digests
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


def not_speaking(
    events: Sequence[Statuses],
    stamps: Mapping[str, Stamp],
    said: Mapping[str, Said],
    *,
    is_record_unclear: bool,
) -> dict[int, Verdict]:
    """The places of the events that have nothing to say: snapshots because a newer one of the same
    Didomi user has spoken or is about to, or because of that Didomi user nothing is known; and what
    is of before a whole record of an older worker. `stamps` and `said` are those that stand;
    `is_record_unclear`: Adobe may have a whole record that is not known, of any Didomi user.
    """
    settled = _before_the_record(events, stamps)
    waiting: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        if event.didomi_user is None or place in settled:
            continue
        accepted, own = newest_accepted(event.didomi_user, stamps), pair_of(event)[0]
        if accepted is None or own > accepted:
            waiting.setdefault(event.didomi_user, []).append(place)
        elif own < accepted:
            settled[place] = Verdict.SUPERSEDED
        elif event.is_silent_if_unknown or not _says_more(event, stamps):
            settled[place] = Verdict.DUPLICATE
    for didomi_user, places in waiting.items():
        is_silent = all(events[place].is_silent_if_unknown for place in places)
        if is_silent and not (is_record_unclear or _is_known(didomi_user, stamps, said)):
            settled |= dict.fromkeys(places, Verdict.SAYS_NOTHING)
            continue
        speaker = max(places, key=lambda place: (*_order(events[place]), -place))
        settled.update(_beside(speaker, places, events))
    return settled


def _is_known(didomi_user: str, stamps: Mapping[str, Stamp], said: Mapping[str, Said]) -> bool:
    """Whether anything was sent of a Didomi user, or may have been: one of whom only snapshots came
    that said nothing is as good as unknown.
    """
    digests = [one for one in both_digests(didomi_user) if one]
    if any(one.didomi_user in digests for one in said.values()):
        return True
    return newest_accepted(didomi_user, stamps) is not None and any(map(is_path, stamps))


def _beside(
    speaker: int, places: Sequence[int], events: Sequence[Statuses]
) -> Iterator[tuple[int, Verdict]]:
    """The verdicts on the other snapshots of a Didomi user, but for those that speak as well."""
    said = [events[speaker].attributes]
    for place in places:
        event = events[place]
        if place == speaker:
            continue
        if pair_of(event)[0] != pair_of(events[speaker])[0]:
            yield place, Verdict.YIELDS
        elif event.attributes in said:
            yield place, Verdict.FOLLOWS
        else:
            said.append(event.attributes)


def _says_more(event: Statuses, stamps: Mapping[str, Stamp]) -> bool:
    """Whether it says something newer of an attribute than what stands, though a snapshot of the
    same moment has spoken.
    """
    named = [path for path in event.attributes if path not in event.companions]
    own = stamps_of(event)
    return any(path not in stamps or own[path] > stamps[path] for path in named)


def _order(event: Statuses) -> tuple[Stamp, str]:
    """One id and time with two contents is a producer's mistake; the value decides, so that at
    least every worker decides alike.
    """
    return pair_of(event)[0], repr(sorted(event.attributes.items()))


def newest_accepted(didomi_user: str, stamps: Mapping[str, Stamp]) -> Stamp | None:
    """The stamp of the newest snapshot of a Didomi user that has spoken; None where none has."""
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
