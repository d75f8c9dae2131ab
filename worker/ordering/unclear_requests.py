"""Requests without a valid answer: Adobe may carry one out later, over a newer choice. Pure.

Such a request leaves a *mark* beside the user's stamps, at the path `UNCLEAR`: for how long it may
still be carried out, and the oldest moment of which that is unclear. Whoever gets a newer choice
accepted while the mark holds sends that one again when it is over. The repeat makes no new choice:
it is sent where its own stamp still stands, and nowhere else.

Of what was unclear before, within the last day, the mark keeps the oldest moment: it may have been
carried out, so snapshots take it back again. It makes no repeats, or an endpoint that never answers
at first would have them for ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Final, NamedTuple

from worker.ordering.newest_fold import Choices, Folded, stamps_of
from worker.ordering.stamp import Stamp, is_path, is_snapshot
from worker.ordering.verdicts import Verdict

_RECENT_MS: Final = 86_400_000
_SINCE: Final = "@"
_NUMBER: Final = re.compile("-?[0-9]{1,16}")
_SEVERAL = ""
"""Stands for which choice of a time is meant when two of the same time are unclear."""


class Moment(NamedTuple):
    """When a choice was made, in ms since the epoch, and which of that time it is."""

    time_ms: int
    which: str


def moments_of(events: Sequence[Choices], folded: Folded) -> list[Moment]:
    """The moments of which the message speaks that these events are `folded` into. A snapshot takes
    back what was chosen long before it, and that keeps its place in the order: whatever has been
    chosen since then is the newer one, though it may be older than the snapshot.
    """
    pairs = list(zip(events, folded.verdicts, strict=True))
    own = [one for one, verdict in pairs if verdict is Verdict.CONTRIBUTES]
    if not own:  # then the message takes back what these had said
        own = [one for one, verdict in pairs if verdict.awaits_message]
    moments = [Moment(one.event_time_ms, _which(one)) for one in own]
    stamps = [stamp.time_ms for path, stamp in folded.written.items() if is_path(path)]
    if moments and stamps and (oldest := min(stamps)) < min(moments).time_ms:
        moments.append(Moment(oldest, _SEVERAL))
    return moments


def mark_of(
    unclear: Sequence[Moment], for_ms: int, known: Stamp | None, *, is_whole: bool
) -> Stamp:
    """The mark to write when it is unclear whether Adobe has got choices of these moments, at least
    one: for the next `for_ms`. `known` is the mark that was there before, over or not. `is_whole`:
    they were in a whole record, which takes back what it does not have.
    """
    marks = [Stamp(for_ms, time_ms, is_whole, which) for time_ms, which in unclear]
    return added(reduce(merged, marks), known)


def added(mark: Stamp, known: Stamp | None) -> Stamp:
    """What is kept where a mark is written and `known` is there: a settlement that comes late, or
    is repeated because its answer got lost, does not know what was marked meanwhile. To add a mark
    once more changes nothing. settle.lua does the same.
    """
    if known is None or not is_recent(known):
        return mark
    if holds(known):
        return merged(mark, known)
    return _with_since(mark, min(_since(mark), _since(known)))


def added_at(now_ms: int, mark: Stamp, stored: Stamp | None) -> Stamp:
    """`added` for a store, which keeps a mark with the time at which it is over: so is `stored`,
    and so is what comes of it.
    """
    known = None if stored is None else moved(stored, -now_ms)
    return moved(added(mark, known), now_ms)


def moved(mark: Stamp, by_ms: int) -> Stamp:
    """The mark with its time so much later: from what is left to when it is over, and back."""
    return mark._replace(time_ms=mark.time_ms + by_ms)


def merged(one: Stamp, other: Stamp) -> Stamp:
    """One mark for two: it holds as long as the longer of them, from the older choice on."""
    which = _named(min(one, other, key=lambda mark: mark.updated_ms))
    if one.updated_ms == other.updated_ms and _named(one) != _named(other):
        which = _SEVERAL
    longest = max(one.time_ms, other.time_ms)
    is_whole = one.is_refusal or other.is_refusal
    both = Stamp(longest, min(one.updated_ms, other.updated_ms), is_whole, which)
    return _with_since(both, min(_since(one), _since(other)))


def holds(mark: Stamp) -> bool:
    """Whether the time of a granted mark is not over."""
    return mark.time_ms > 0


def is_recent(mark: Stamp) -> bool:
    """Whether a mark holds, or was over only within the last day."""
    return mark.time_ms > -_RECENT_MS


def is_newer(choice: Choices, mark: Stamp) -> bool:
    """Whether what is unclear may be older than `choice`, or a whole record, which takes back what
    was sent after it, however old that is. Of two at the same time it may.
    """
    if mark.is_refusal:
        return True
    if choice.event_time_ms == mark.updated_ms:
        return not is_named(choice, mark)
    return choice.event_time_ms > mark.updated_ms


def is_named(choice: Choices, mark: Stamp) -> bool:
    """Whether a mark speaks of nothing but this choice."""
    return choice.event_time_ms == mark.updated_ms and _which(choice) == _named(mark)


def follows(choice: Choices, mark: Stamp) -> bool:
    """Whether what is unclear, or was within the day before that, may be older than `choice`."""
    return is_newer(choice, mark) or choice.event_time_ms > _since(mark)


def was_accepted(choice: Choices, stored: Mapping[str, Stamp]) -> bool:
    """Whether the stamps show that a choice which says so was accepted before: its own stands for
    an attribute, or something newer for all of them.
    """
    pairs = [(stored.get(path), stamp) for path, stamp in stamps_of(choice).items()]
    return any(known is not None and known.is_of(stamp) for known, stamp in pairs) or all(
        known is not None and known > stamp for known, stamp in pairs
    )


def before(choices: Sequence[Choices], stored: Mapping[str, Stamp]) -> Mapping[str, Stamp]:
    """The stamps as if these choices had not been accepted: so they are sent where their own stand,
    and nothing older is. Of a Didomi user it stays known that there was a snapshot.
    """
    own: dict[str, list[Stamp]] = {}
    for one in choices:
        for path, stamp in stamps_of(one).items():
            own.setdefault(path, []).append(stamp)
    left: dict[str, Stamp] = {}
    for path, stamp in stored.items():
        if not any(stamp.is_of(one) for one in own.get(path, ())):
            left[path] = stamp
        elif is_snapshot(path):
            left[path] = stamp._replace(time_ms=stamp.time_ms - 1)
    return left


def _named(mark: Stamp) -> str:
    """Which choice of its moment a mark means."""
    return mark.event_id.partition(_SINCE)[0]


def _since(mark: Stamp) -> int:
    """The oldest moment of which a mark knows, in ms since the epoch."""
    told = mark.event_id.partition(_SINCE)[2]
    return int(told) if _NUMBER.fullmatch(told) else mark.updated_ms


def _with_since(mark: Stamp, since_ms: int) -> Stamp:
    which = _named(mark)
    told = which if since_ms >= mark.updated_ms else f"{which}{_SINCE}{since_ms}"
    return mark._replace(event_id=told)


def _which(choice: Choices) -> str:
    """Tells choices of one time apart. A digest, to be short."""
    said = f"{choice.updated_at_ms or 0} {choice.event_id}"
    return hashlib.blake2b(said.encode(errors="surrogatepass"), digest_size=8).hexdigest()
