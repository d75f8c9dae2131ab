"""Which choice is the newest where more is known of a user than stamps: who said what stands. Pure.

A snapshot is the whole status of one Didomi user, mostly a device, of which a person has several.
So of one Didomi user the newest snapshot counts, and older ones are superseded whatever they name.
Between Didomi users, and between events, the newest choice wins by attribute. What a snapshot does
not name is taken back if an older snapshot of that same Didomi user had said it, and no other's.

A choice that is taken back keeps its place in the order, just after itself: what another Didomi
user has chosen since then, and comes late, is the newer one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from worker.ordering.newest_fold import Folded, pair_of, without_message
from worker.ordering.snapshot_lines import (
    Line,
    Lines,
    is_undone,
    lines_of,
    recent_mark,
    restates,
    spoken_line,
    undoing_lines,
)
from worker.ordering.speaking_snapshots import Statuses, not_speaking
from worker.ordering.stamp import Said, Stamp, is_path
from worker.ordering.verdicts import Verdict
from worker.transform.format_rendering import is_silent

BEFORE_ALL: Final = Stamp(-62_135_596_800_000, 0, True, "")
"""Of the first moment that a date can tell."""


class Known(NamedTuple):
    """What stands of one user: the stamps, and who said the choices of them."""

    stamps: Mapping[str, Stamp]
    said: Mapping[str, Said]


def merged_known(several: Sequence[Known]) -> Known:
    """What stands of one user by all of `several`; of two for one path the later one."""
    return Known(
        {path: stamp for one in several for path, stamp in one.stamps.items()},
        {path: said for one in several for path, said in one.said.items()},
    )


class _Winner(NamedTuple):
    line: Line
    position: int


def fold_known(
    events: Sequence[Statuses],
    known: Known,
    *,
    replaces: bool,
    maybe_at_adobe: Collection[int] = (),
) -> Folded:
    """As `newest_fold.fold`, with who says it for each stamp. `replaces`: the message is the whole
    record, so that what is left out of it is erased: then a choice that is taken back in silence
    is a message too. `maybe_at_adobe`: the places of events of which an earlier request may have
    told Adobe, though nothing of that is known.
    """
    is_unclear = recent_mark(known.stamps) is not None
    settled = not_speaking(
        events, known.stamps, known.said, is_record_unclear=replaces and is_unclear
    )
    undone = {
        place
        for place in maybe_at_adobe
        if place in settled and is_undone(events[place], settled[place], events, known.stamps)
    }
    lines = [
        _lines(place, events, known, settled, () if replaces else undone, replaces=replaces)
        for place in range(len(events))
    ]
    winners = _winners(lines, known.stamps)
    contributing, emptying = _who_wins(events, winners, undone, replaces=replaces)
    if replaces:
        contributing |= _who_speaks_for_the_record(events, settled, known)
        if not is_unclear:  # else the record of the newer one is repeated
            contributing |= undone
    verdicts: list[Verdict] = []
    for place, event in enumerate(events):
        verdict = settled.get(place)
        if verdict is not None:
            verdict = Verdict.UNDOES if place in contributing else verdict
        elif place in contributing:
            verdict = Verdict.CONTRIBUTES
        elif place in emptying:
            verdict = Verdict.EMPTIES
        else:
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


def _lines(
    place: int,
    events: Sequence[Statuses],
    known: Known,
    settled: Mapping[int, Verdict],
    undone: Collection[int],
    *,
    replaces: bool,
) -> Lines:
    """What the event at a place says of each path."""
    event = events[place]
    if place not in settled:
        return lines_of(event, known.stamps, known.said, replaces=replaces)
    if place in undone:
        return undoing_lines(event, events, known.stamps, known.said)
    if settled[place] is Verdict.SAYS_NOTHING and event.didomi_user is not None:
        return spoken_line(event.didomi_user, pair_of(event)[0])
    return {}


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


def _winners(lines: Sequence[Lines], stamps: Mapping[str, Stamp]) -> dict[str, _Winner]:
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
    events: Sequence[Statuses],
    winners: Mapping[str, _Winner],
    undone: Collection[int],
    *,
    replaces: bool,
) -> tuple[set[int], set[int]]:
    """The places of the events that have something to send, and of those that have only taken
    choices back in silence. Who wins nothing but companions is of neither, unless it is `undone`:
    companions stay at Adobe as well.
    """
    contributing: set[int] = set()
    emptying: set[int] = set()
    for path, (line, place) in winners.items():
        if is_path(path) and (place in undone or path not in events[place].companions):
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
        and (restates(event, known.stamps, replaces=True) or not (stands or _named(event)))
    }


def _named(event: Statuses) -> list[str]:
    """The choices that it names."""
    return [path for path in event.attributes if path not in event.companions]


def _verdict_of_loser(
    event: Statuses, lines: Lines, winners: Mapping[str, _Winner], stamps: Mapping[str, Stamp]
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
