"""Which choice is the newest where more is known of a user than stamps: who said what stands. Pure.

A snapshot is the whole status of one Didomi user, mostly a device, of which a person has several.
So of one Didomi user the newest snapshot counts, and older ones are superseded whatever they name.
Between Didomi users, and between events, the newest choice wins by attribute. What a snapshot does
not name is taken back if an older snapshot of that same Didomi user had said it, and no other's.

A choice that is taken back keeps its place in the order, just after itself: what another Didomi
user has chosen since then, and comes late, is the newer one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from worker.ordering.newest_fold import Folded, pair_of, without_message
from worker.ordering.speaking_snapshots import Statuses, not_speaking
from worker.ordering.stamp import MAX_EVENT_ID, Said, Stamp, at, is_path, newest_of
from worker.ordering.store_protocol import UNCLEAR
from worker.ordering.unclear_requests import is_newer, is_recent
from worker.ordering.user_digests import both_digests
from worker.ordering.verdicts import Verdict
from worker.transform.format_rendering import Sent, is_refusal, is_silent

_HAS_SPOKEN: Final = Sent(None, False)
"""What stands for a snapshot itself among its choices; never sent."""
_STATE_ONLY: Final = Said()
BEFORE_ALL: Final = Stamp(-62_135_596_800_000, 0, True, "")
"""Of the first moment that a date can tell."""


class Known(NamedTuple):
    """What stands of one user: the stamps, and who said the choices of them."""

    stamps: Mapping[str, Stamp]
    said: Mapping[str, Said]


def merged_known(several: Sequence[Known]) -> Known:
    """All of it; of two for one path the later one."""
    return Known(
        {path: stamp for one in several for path, stamp in one.stamps.items()},
        {path: said for one in several for path, said in one.said.items()},
    )


class _Line(NamedTuple):
    """What one event says of one path."""

    stamp: Stamp
    value: Any
    said: Said


class _Winner(NamedTuple):
    line: _Line
    position: int


_Lines = Mapping[str, _Line]
_NO_LINES: Final[_Lines] = {}


def fold_known(events: Sequence[Statuses], known: Known, *, replaces: bool) -> Folded:
    """As `newest_fold.fold`, with who says it for each stamp. `replaces`: the message is the whole
    record, so that what is left out of it is erased: then a choice that is taken back in silence
    is a message too.
    """
    settled = not_speaking(events, known.stamps)
    lines = [
        _NO_LINES if place in settled else _lines(event, known, replaces=replaces)
        for place, event in enumerate(events)
    ]
    winners = _winners(lines, known.stamps)
    contributing, emptying = _who_wins(events, winners, replaces=replaces)
    if replaces:
        contributing |= _who_speaks_for_the_record(events, settled, known)
    verdicts: list[Verdict] = []
    for place, event in enumerate(events):
        verdict = settled.get(place)
        if place in contributing:
            verdict = Verdict.CONTRIBUTES
        elif place in emptying:
            verdict = Verdict.EMPTIES
        elif verdict is None:
            verdict = _verdict_of_loser(event, lines[place], winners, known.stamps)
            if contributing and event.didomi_user is not None:
                # That it has spoken is written with the message.
                verdict = verdict.with_message
        verdicts.append(verdict)
    won = {
        path: winner.line
        for path, winner in winners.items()
        if winner.position in contributing | emptying or not is_path(path)
    }
    folded = Folded(
        {path: line.value for path, line in won.items()},
        verdicts,
        {path: line.stamp for path, line in won.items()},
        bool(contributing),
        {path: line.said for path, line in won.items() if is_path(path)},
    )
    if not contributing:
        return without_message(folded)
    return folded._replace(attributes={path: won[path].value for path in folded.said})


def _lines(event: Statuses, known: Known, *, replaces: bool) -> dict[str, _Line]:
    other, refusal = pair_of(event)
    sources = event.sources or {}
    digest = both_digests(event.didomi_user or "")[0]
    lines = {
        path: _Line(
            refusal if is_refusal(value) else other, value, Said(digest, False, sources.get(path))
        )
        for path, value in event.attributes.items()
    }
    if event.didomi_user is not None:
        lines[newest_of(event.didomi_user)[0]] = _Line(other, _HAS_SPOKEN, _STATE_ONLY)
        taken_back = Said(digest, True, None if event.sources is None else at(event.event_time_ms))
        for path, stamp in _taken_back(event, known, replaces=replaces):
            lines[path] = _Line(stamp, event.absent[path], taken_back)
    return lines


def _taken_back(event: Statuses, known: Known, *, replaces: bool) -> Iterator[tuple[str, Stamp]]:
    """The paths that a snapshot takes back by not naming them, each with its stamp. What an unclear
    request may still set is taken back once more.
    """
    digests = [one for one in both_digests(event.didomi_user or "") if one]
    restates = _restates(event, known, replaces=replaces)
    for path in event.absent:
        if path in event.attributes:
            continue
        stands, said = known.stamps.get(path), known.said.get(path, _STATE_ONLY)
        if stands is None or said.didomi_user not in digests:
            continue
        if restates or not said.is_taken_back:
            yield path, _just_after(stands)


def maybe_said(folded: Folded, known: Known) -> Known:
    """What a request with `folded` may have set, or still sets, though nothing shows that it was
    accepted: choices of snapshots where nothing stands. They count as taken back before anything
    else was chosen, so that everything is newer, and the next snapshot of the same Didomi user says
    again that it has none of them.
    """
    said = {
        path: Said(one.didomi_user, is_taken_back=True)
        for path, one in folded.said.items()
        if one.didomi_user and path not in known.stamps
    }
    return Known(dict.fromkeys(said, BEFORE_ALL), said)


def _just_after(stamp: Stamp) -> Stamp:
    """No other event has a stamp in between, not even a later version of the same moment."""
    if len(stamp.event_id) < MAX_EVENT_ID:
        return stamp._replace(is_refusal=True, event_id=f"{stamp.event_id}~")
    return stamp._replace(updated_ms=stamp.updated_ms + 1, is_refusal=True)


def _restates(event: Statuses, known: Known, *, replaces: bool) -> bool:
    """Whether an older request without an answer may still be carried out, or has been lately. A
    request with a whole record takes back what was sent after it, however old that is.
    """
    mark = known.stamps.get(UNCLEAR)
    return mark is not None and is_recent(mark) and (replaces or is_newer(event, mark))


def _winners(lines: Sequence[_Lines], stamps: Mapping[str, Stamp]) -> dict[str, _Winner]:
    winners: dict[str, _Winner] = {}
    for place, own in enumerate(lines):
        for path, line in own.items():
            accepted, best = stamps.get(path), winners.get(path)
            if accepted is not None and line.stamp <= accepted:
                continue
            if best is None or (line.stamp, repr(line.value)) > (
                best.line.stamp,
                repr(best.line.value),
            ):
                winners[path] = _Winner(line, place)
    return winners


def _who_wins(
    events: Sequence[Statuses], winners: Mapping[str, _Winner], *, replaces: bool
) -> tuple[set[int], set[int]]:
    """The places of the events that have something to send, and of those that have only taken
    choices back in silence. Who wins nothing but companions is of neither.
    """
    contributing: set[int] = set()
    emptying: set[int] = set()
    for path, (line, place) in winners.items():
        if is_path(path) and path not in events[place].companions:
            is_said = replaces or not is_silent(line.value)
            (contributing if is_said else emptying).add(place)
    return contributing, emptying - contributing


def _who_speaks_for_the_record(
    events: Sequence[Statuses], settled: Mapping[int, Verdict], known: Known
) -> set[int]:
    """The snapshots that are sent though they change nothing that is known: what Adobe has may be
    from before the state was lost, or still to come.
    """
    stands = any(is_path(name) for name in known.stamps)
    return {
        place
        for place, event in enumerate(events)
        if place not in settled
        and event.didomi_user is not None
        and (_restates(event, known, replaces=True) or not (stands or _named(event)))
    }


def _named(event: Statuses) -> list[str]:
    """The choices that it names."""
    return [path for path in event.attributes if path not in event.companions]


def _verdict_of_loser(
    event: Statuses, lines: _Lines, winners: Mapping[str, _Winner], stamps: Mapping[str, Stamp]
) -> Verdict:
    named = _named(event)
    if not named:
        return Verdict.EMPTIES if event.didomi_user is not None else Verdict.SUPERSEDED
    awaits_message = False
    is_copy = True
    for path in named:
        stamp, rival = lines[path].stamp, stamps.get(path)
        if rival is None or rival < stamp:
            rival = winners[path].line.stamp
            awaits_message = True
        is_copy = is_copy and rival == stamp
    if is_copy:
        return Verdict.FOLLOWS if awaits_message else Verdict.DUPLICATE
    return Verdict.YIELDS if awaits_message else Verdict.SUPERSEDED
