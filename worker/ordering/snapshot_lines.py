"""What an event says of each path, and what a snapshot takes back by not naming it. Pure.

`snapshot_fold` finds out which of these lines wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from worker.ordering.newest_fold import pair_of, stamps_of
from worker.ordering.speaking_snapshots import Statuses, newest_accepted
from worker.ordering.stamp import MAX_EVENT_ID, Said, Stamp, at, is_path, newest_of
from worker.ordering.store_protocol import UNCLEAR
from worker.ordering.unclear_requests import follows, is_recent
from worker.ordering.user_digests import both_digests
from worker.ordering.verdicts import Verdict
from worker.transform.format_rendering import EMPTIED, Sent, is_refusal, is_silent

_HAS_SPOKEN: Final = Sent(None, False)
"""What stands for a snapshot itself among its choices; never sent."""
_STATE_ONLY: Final = Said()
_OUTSPOKEN: Final = frozenset({Verdict.SUPERSEDED, Verdict.YIELDS})
"""Of a snapshot that does not speak: a newer one of its Didomi user does, or has done."""


class Line(NamedTuple):
    """What one event says of one path."""

    stamp: Stamp
    value: Any
    said: Said


Lines = Mapping[str, Line]


def lines_of(
    event: Statuses, stamps: Mapping[str, Stamp], said: Mapping[str, Said], *, replaces: bool
) -> dict[str, Line]:
    """What an event says, and what a snapshot takes back, of each path; `stamps` and `said` are
    those that stand.
    """
    other, refusal = pair_of(event)
    sources = event.sources or {}
    digest = both_digests(event.didomi_user or "")[0]
    lines = {
        path: Line(
            refusal if is_refusal(value) else other, value, Said(digest, False, sources.get(path))
        )
        for path, value in event.attributes.items()
    }
    if event.didomi_user is not None:
        lines |= spoken_line(event.didomi_user, other)
        taken_back = Said(digest, True, None if event.sources is None else at(event.event_time_ms))
        for path, stamp in _taken_back(event, stamps, said, replaces=replaces):
            lines[path] = Line(stamp, event.absent[path], taken_back)
    return lines


def spoken_line(didomi_user: str, stamp: Stamp) -> dict[str, Line]:
    """That a snapshot of a Didomi user has spoken, by which older ones are superseded."""
    return {newest_of(didomi_user)[0]: Line(stamp, _HAS_SPOKEN, _STATE_ONLY)}


def _taken_back(
    event: Statuses, stamps: Mapping[str, Stamp], said: Mapping[str, Said], *, replaces: bool
) -> Iterator[tuple[str, Stamp]]:
    """The paths that a snapshot takes back by not naming them, each with its stamp. What an unclear
    request may still set is taken back once more. What another one of the same moment has said
    stays, whichever of them came first.
    """
    if newest_accepted(event.didomi_user or "", stamps) == pair_of(event)[0]:
        return
    digests = [one for one in both_digests(event.didomi_user or "") if one]
    states_again = restates(event, stamps, replaces=replaces)
    for path in event.absent:
        if path in event.attributes:
            continue
        stands, by = stamps.get(path), said.get(path, _STATE_ONLY)
        if stands is None or by.didomi_user not in digests:
            continue
        if states_again or not by.is_taken_back:
            yield path, _just_after(stands)


def is_undone(
    event: Statuses,
    verdict: Verdict,
    events: Sequence[Statuses],
    stamps: Mapping[str, Stamp],
) -> bool:
    """Whether a snapshot does not speak, by its `verdict`, because a newer one of the same Didomi
    user does: of `events`, or by `stamps`.
    """
    if event.didomi_user is None or verdict not in _OUTSPOKEN:
        return False
    # Else it is older than a whole record, and than nothing of that user.
    return _newest(event.didomi_user, events, stamps) > pair_of(event)[0]


def undoing_lines(
    event: Statuses,
    events: Sequence[Statuses],
    stamps: Mapping[str, Stamp],
    said: Mapping[str, Said],
) -> dict[str, Line]:
    """What a snapshot had said that `is_undone`, taken back. Adobe may have it: of a request whose
    worker died, or that has no answer, nobody knows what it has set, and the newer snapshot took
    back what was known. So it ends as in the right order, whichever of them came first. What others
    have chosen since then stays. What an unclear request may still set is taken back once more.
    """
    digests = both_digests(event.didomi_user or "")
    newest = _newest(event.didomi_user or "", events, stamps)
    states_again = recent_mark(stamps) is not None
    lines: dict[str, Line] = {}
    for path, own in stamps_of(event).items():
        absent = event.absent.get(path, EMPTIED)
        stands, by = stamps.get(path), said.get(path, _STATE_ONLY)
        if is_silent(absent) or not is_path(path):
            continue
        if stands is None or stands <= own:
            stamp = _just_after(own)
        elif states_again and by.is_taken_back and by.didomi_user in digests:
            stamp = _just_after(stands)
        else:
            continue
        if absent.__class__ is Sent:
            absent = absent._replace(time_ms=newest.time_ms)
        lines[path] = Line(stamp, absent, Said(digests[0], is_taken_back=True))
    return lines


def _newest(didomi_user: str, events: Sequence[Statuses], stamps: Mapping[str, Stamp]) -> Stamp:
    """The stamp of the newest snapshot of a Didomi user, of whom there is one."""
    there = [pair_of(one)[0] for one in events if one.didomi_user == didomi_user]
    return max([*there, newest_accepted(didomi_user, stamps) or there[0]])


def took_nothing_back(event: Statuses, said: Mapping[str, Said]) -> bool:
    """Whether it is a snapshot without a choice, of whose Didomi user nothing stands as taken back:
    then no message of it was accepted. `said` is what stands of the person.
    """
    if event.didomi_user is None or event.attributes.keys() - set(event.companions):
        return False
    digests = both_digests(event.didomi_user)
    return not any(one.is_taken_back and one.didomi_user in digests for one in said.values())


def _just_after(stamp: Stamp) -> Stamp:
    """No other event has a stamp in between, not even a later version of the same moment."""
    if len(stamp.event_id) < MAX_EVENT_ID:
        return stamp._replace(is_refusal=True, event_id=f"{stamp.event_id}~")
    return stamp._replace(updated_ms=stamp.updated_ms + 1, is_refusal=True)


def restates(event: Statuses, stamps: Mapping[str, Stamp], *, replaces: bool) -> bool:
    """Whether an older request without an answer may still be carried out, or has been lately. A
    request with a whole record takes back what was sent after it, however old that is.
    """
    mark = recent_mark(stamps)
    return mark is not None and (replaces or follows(event, mark))


def recent_mark(stamps: Mapping[str, Stamp]) -> Stamp | None:
    """The mark of what is unclear of a person, or was within the last day."""
    mark = stamps.get(UNCLEAR)
    return mark if mark is not None and is_recent(mark) else None
