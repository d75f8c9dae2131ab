"""Which choice is the newest, attribute by attribute. Pure.

`fold` takes the events of one user that wait for one integration, and the stamps of what Adobe has
accepted before; it says what is to be sent, what that makes of each event, and which stamps hold
once Adobe has accepted it.

The order is a decision of ours, since Didomi documents none: by `created_at`, because the choice
was made then, however late it arrives; then by `updated_at`, so that a confirmed event beats its
pending self; then a refusal beats a consent, because in doubt it is the safer answer; then by the
event's id, which only makes the result the same in whichever order the events come.

`snapshot_fold` has the rule where more is known of a user than stamps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from worker.fast_tuples import new_tuple
from worker.ordering.stamp import Said, Stamp, newest_of
from worker.ordering.verdicts import Verdict
from worker.transform.decision_types import NOTHING
from worker.transform.format_rendering import EMPTIED, is_refusal, is_silent


class Choices(Protocol):
    """What `fold` must know of one event: `attributes` is path → value as it is sent, not empty;
    `companions` are the paths that make no message by themselves; `didomi_user` is the digest of
    whom a snapshot is of, if it is one.
    """

    @property
    def event_id(self) -> str: ...
    @property
    def event_time_ms(self) -> int: ...
    @property
    def updated_at_ms(self) -> int | None: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...
    @property
    def companions(self) -> Collection[str]: ...
    @property
    def didomi_user(self) -> str | None: ...


class Folded(NamedTuple):
    """What a fold comes to. `attributes`: what to send. `verdicts`: one for each event, in their
    order. `written`: the stamps to store when, and only when, the message is accepted; or at once,
    unless it `is_sent`. `said`: who says it, where that is stored beside them.
    """

    attributes: Mapping[str, Any]
    verdicts: Sequence[Verdict]
    written: Mapping[str, Stamp]
    is_sent: bool = True
    said: Mapping[str, Said] = NOTHING


class _Winner(NamedTuple):
    stamp: Stamp
    value: Any
    position: int


Pair = tuple[Stamp, Stamp]
_CONTRIBUTES: Final = (Verdict.CONTRIBUTES,)


def fold(events: Sequence[Choices], stored: Mapping[str, Stamp]) -> Folded:
    """The newest value of each attribute, as far as it is newer than what is `stored` for it.

    `events` are those of one user at one integration. The order in which they are given does not
    change what is sent; of exact copies the first contributes. `attributes` of the result may be
    the mapping of an event itself and must not be changed.
    """
    if len(events) == 1 and not stored:
        alone = _alone(events[0])
        if alone is not None:
            return alone
    pairs = [pair_of(event) for event in events]
    winners = _winners(events, pairs, stored)
    contributing, emptying = _who_wins(events, winners)
    verdicts = [
        Verdict.CONTRIBUTES
        if index in contributing
        else Verdict.EMPTIES
        if index in emptying
        else _verdict_of_loser(event, pairs[index], winners, stored)
        for index, event in enumerate(events)
    ]
    won = {
        path: winner
        for path, winner in winners.items()
        if winner.position in contributing or winner.position in emptying
    }
    folded = Folded(
        {path: winner.value for path, winner in won.items()},
        verdicts,
        {path: winner.stamp for path, winner in won.items()},
        bool(contributing),
    )
    return folded if contributing else without_message(folded)


def without_message(folded: Folded) -> Folded:
    """`folded`, of which nothing is sent, so that nothing is waited for."""
    silent = {path for path, value in folded.attributes.items() if is_silent(value)}
    return Folded(
        {},
        [one.without_message for one in folded.verdicts],
        {path: stamp for path, stamp in folded.written.items() if path in silent},
        is_sent=False,
        said={path: one for path, one in folded.said.items() if path in silent},
    )


def _who_wins(
    events: Sequence[Choices], winners: Mapping[str, _Winner]
) -> tuple[set[int], set[int]]:
    """The places of the events that have something to send, and of those that have only taken
    choices back in silence. Who wins nothing but companions is of neither.
    """
    contributing: set[int] = set()
    emptying: set[int] = set()
    for path, winner in winners.items():
        if path not in events[winner.position].companions:
            (emptying if winner.value is EMPTIED else contributing).add(winner.position)
    return contributing, emptying - contributing


def _alone(event: Choices) -> Folded | None:
    """The commonest case, apart because of its cost; None where a choice is taken back."""
    for value in event.attributes.values():
        if value is EMPTIED:  # a loop, and no comparison: this is asked of every event
            return None
    return new_tuple(Folded, (event.attributes, _CONTRIBUTES, stamps_of(event), True, NOTHING))


def stamps_of(event: Choices) -> dict[str, Stamp]:
    """The stamp of each attribute of an event, as it is stored once the event is accepted; and of a
    snapshot that of itself.
    """
    other, refusal = pair_of(event)
    stamps: dict[str, Stamp] = {}
    for path, value in event.attributes.items():  # of most choices is_refusal need not be asked
        says_no = value is False or (value is not True and is_refusal(value))
        stamps[path] = refusal if says_no else other
    if event.didomi_user is not None:
        stamps |= dict.fromkeys(newest_of(event.didomi_user), other)
    return stamps


def pair_of(event: Choices) -> Pair:
    """The two stamps that one event can give: to anything but a refusal, and to a refusal."""
    time_ms, updated_ms, event_id = event.event_time_ms, event.updated_at_ms or 0, event.event_id
    return (
        new_tuple(Stamp, (time_ms, updated_ms, False, event_id)),
        new_tuple(Stamp, (time_ms, updated_ms, True, event_id)),
    )


def is_after(event: Choices, tombstone: Stamp) -> bool:
    """Whether a choice was made or changed after its person's erasure. What orders snapshots of one
    moment is no time.
    """
    changed_ms = event.updated_at_ms if event.didomi_user is None else None
    return max(event.event_time_ms, changed_ms or event.event_time_ms) > tombstone.time_ms


def when(event: Choices) -> tuple[int, int]:
    """The order in which the choices of one user were made, as far as times tell."""
    return event.event_time_ms, event.updated_at_ms or 0


def _winners(
    events: Sequence[Choices], pairs: Sequence[Pair], stored: Mapping[str, Stamp]
) -> dict[str, _Winner]:
    winners: dict[str, _Winner] = {}
    for index, event in enumerate(events):
        for path, value in event.attributes.items():
            stamp = pairs[index][is_refusal(value)]
            accepted = stored.get(path)
            if accepted is not None and stamp <= accepted:
                continue
            best = winners.get(path)
            if (
                best is None
                or stamp > best.stamp
                # One id and time with two contents is a producer's mistake; the value decides, so
                # that at least every worker decides alike.
                or (stamp == best.stamp and repr(value) > repr(best.value))
            ):
                winners[path] = _Winner(stamp, value, index)
    return winners


def _verdict_of_loser(
    event: Choices,
    pair: Pair,
    winners: Mapping[str, _Winner],
    stored: Mapping[str, Stamp],
) -> Verdict:
    awaits_message = False
    is_copy = True
    for path, value in event.attributes.items():
        if path in event.companions:
            continue
        stamp = pair[is_refusal(value)]
        rival = stored.get(path)
        if rival is None or rival < stamp:
            rival = winners[path].stamp
            awaits_message = True
        is_copy = is_copy and rival == stamp
    if is_copy:
        return Verdict.FOLLOWS if awaits_message else Verdict.DUPLICATE
    return Verdict.YIELDS if awaits_message else Verdict.SUPERSEDED
