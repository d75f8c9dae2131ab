"""Which events are sent again, because an older choice may still be carried out. Pure.

The rules of the marks are those of `ordering.unclear`; here they meet deliveries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from worker.delivery.delivery import Delivery
from worker.ordering.newest_fold import Choices, pair_of, stamps_of
from worker.ordering.own_stamps import called_as_now
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import UNCLEAR
from worker.ordering.unclear_requests import (
    Moment,
    before,
    holds,
    is_named,
    is_newer,
    is_recent,
    mark_of,
    was_accepted,
)
from worker.ordering.verdicts import Verdict

_MARGIN_SECONDS: Final = 1.0
"""Longer than the mark holds: the delay rounds to whole seconds."""


def granted_to(group: Sequence[Delivery], stored: Mapping[str, Stamp]) -> Mapping[str, Stamp]:
    """The stamps that stand of a user, those of the group itself by the ids that it has now."""
    if not stored:
        return stored
    return called_as_now(stored, [(one.choice, one.other_ids) for one in group])


def stamps_for(
    group: Sequence[Delivery], choices: Sequence[Choices], stored: Mapping[str, Stamp]
) -> Mapping[str, Stamp]:
    """The stamps by which to fold a user's `choices`, one for each of `group`: as if the repeats
    among them had not been accepted. One that says it is a repeat, though nothing shows that it was
    ever accepted, is an ordinary event from now on: its header may be forged, or the state lost.

    A repeated snapshot does not speak where a newer one of the same Didomi user does: then its
    stamps stay, since what they stand for is what the newer one takes back.
    """
    repeats: list[Choices] = []
    for delivery, choice in zip(group, choices, strict=True):
        if delivery.state.is_repeat:
            if was_accepted(choice, stored):
                if not _is_followed(choice, choices):
                    repeats.append(choice)
            else:
                delivery.state = replace(delivery.state, is_repeat=False)
    return before(repeats, stored) if repeats else stored


def _is_followed(choice: Choices, choices: Sequence[Choices]) -> bool:
    """Whether a newer snapshot of the same Didomi user is among them."""
    if choice.didomi_user is None:
        return False
    moment = pair_of(choice)[0]
    return any(
        one.didomi_user == choice.didomi_user and pair_of(one)[0] > moment for one in choices
    )


def plan_repeats_of_parts(
    parts: Iterable[tuple[Sequence[Delivery], Sequence[Moment], bool]],
    unclear_ms: int,
    *,
    replaces: bool,
) -> None:
    """Plan the repeats of one user's messages that went one after the other: an unclear one may be
    carried out after those that followed. Whole records (`replaces`) are taken back by it whatever
    they say, others where they are the newer choice of the same time. Of each part its deliveries,
    of when what of it is unclear is, and whether it was accepted.
    """
    mark: Stamp | None = None
    for deliveries, unclear, is_accepted in parts:
        if unclear:
            mark = mark_of(unclear, unclear_ms, mark, is_whole=replaces)
        if mark is None or not is_accepted:
            continue
        for delivery in deliveries:
            if replaces or is_newer(delivery.choice, mark):
                delivery.repeat_seconds = unclear_ms / 1000 + _MARGIN_SECONDS


def plan_repeats(
    group: Sequence[Delivery],
    verdicts: Sequence[Verdict],
    granted: Mapping[str, Stamp],
    *,
    is_accepted: bool,
    replaces: bool = False,
) -> None:
    """Say of each delivery of a message when it is to be sent again, if it is. `granted` are the
    stamps from before; `is_accepted` tells whether Adobe took the message, and `replaces` whether
    it is a whole record: then an unclear one takes back all that was sent after it, newer or not.

    What stands already is repeated as well, for a day after the mark is over: its worker may have
    died before the repeat was confirmed, or have handed the event over. Nothing tells that from a
    copy of the producer's, for which it is one request too many: the message may have been parked
    or set apart since, and its returns are counted anew.
    """
    mark = granted.get(UNCLEAR)
    if mark is None:
        return
    for delivery, verdict in zip(group, verdicts, strict=True):
        undoes = verdict is Verdict.UNDOES
        is_due = (undoes or verdict is Verdict.CONTRIBUTES) and is_accepted and holds(mark)
        may_be_lost = is_recent(mark) and not delivery.state.is_repeat
        if not is_due and may_be_lost and (is_accepted or not verdict.awaits_message):
            is_due = verdict is Verdict.DUPLICATE or _stands(delivery.choice, granted)
        choice = delivery.choice
        # What is undone may be what is unclear itself. A repeat that is so does no harm.
        is_harmless = delivery.state.is_repeat and is_named(choice, mark)
        if is_due and not is_harmless and (undoes or replaces or is_newer(choice, mark)):
            delivery.repeat_seconds = max(mark.time_ms, 0) / 1000 + _MARGIN_SECONDS


def _stands(choice: Choices, granted: Mapping[str, Stamp]) -> bool:
    """Whether Adobe has it for some attribute, though something newer for others."""
    pairs = [(granted.get(path), stamp) for path, stamp in stamps_of(choice).items()]
    return any(known is not None and known.is_of(stamp) for known, stamp in pairs)
