"""A dead letter as the events that it holds: a bundle of parked events is opened.

A bundle gets here when the broker itself gave it up. Its events are of several people, so each is
listed, shown, replayed and discarded by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from worker.broker import headers as names
from worker.broker.dead_letter import DeadLetter, describe, id_of
from worker.broker.dead_letter_queue import DeadLetters, replay_refusal
from worker.broker.held_letters import HeldLetter
from worker.counting import counted
from worker.delivery.bundles.bundle_format import MOST_VALUES, NotABundle, pack, unpack
from worker.reasons import DeadReason, ErrorCode
from worker.wire.property_reader import read_properties
from worker.wire.table_reader import Budget

UNKNOWN: Final = "unknown"
"""What stands for a reason or an error that this version does not know."""
REASONS: Final = frozenset((*DeadReason, UNKNOWN))
ERRORS: Final = frozenset((*DeadReason, *ErrorCode, UNKNOWN))


@dataclass(frozen=True, slots=True)
class LetterEvent:
    """One event of a dead letter. `packed` is its content header and body in a bundle, None where
    the letter is no bundle.
    """

    letter: DeadLetter
    headers: Mapping[str, Any]
    body: bytes
    packed: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class OpenedLetter:
    """A message of the dead-letter queue: its events that are `chosen`, and the others."""

    message: HeldLetter
    chosen: Sequence[LetterEvent]
    others: Sequence[LetterEvent] = ()

    def only_of_chosen(self, is_meant: Callable[[LetterEvent], bool]) -> OpenedLetter:
        """The same letter with those events alone chosen for which `is_meant` as well."""
        fewer = _divided(self.message, self.chosen, is_meant)
        return replace(fewer, others=[*self.others, *fewer.others])

    def replay_refusal(self, max_event_bytes: int) -> str:
        """Why the letter's chosen events can't be replayed; "" where they can."""
        body = _bundle(self.chosen)[0] if self.others else self.message.body
        return replay_refusal(self.message, len(body), max_event_bytes)

    async def replay(self, letters: DeadLetters, max_event_bytes: int, epoch: str | None) -> None:
        """Send the letter's chosen events on their way again. Raises `NotReplayed`."""
        if not self.others:
            await letters.replay(self.message, max_event_bytes, epoch)
            return
        await letters.replay_part(self.message, *_bundle(self.chosen), max_event_bytes, epoch)
        await letters.replace_by_part(self.message, *_bundle(self.others))

    async def discard(self, letters: DeadLetters) -> None:
        """Take the letter's chosen events off the queue for good; the others stay there."""
        if not self.others:
            await letters.discard(self.message)
            return
        await letters.replace_by_part(self.message, *_bundle(self.others))


def open_letter(message: HeldLetter, is_meant: Callable[[LetterEvent], bool]) -> OpenedLetter:
    """The events of `message`; those for which `is_meant` are chosen."""
    return _divided(message, _events(message), is_meant)


def _divided(
    message: HeldLetter,
    events: Sequence[LetterEvent],
    is_meant: Callable[[LetterEvent], bool],
) -> OpenedLetter:
    chosen: list[LetterEvent] = []
    others: list[LetterEvent] = []
    for event in events:
        (chosen if is_meant(event) else others).append(event)
    return OpenedLetter(message, chosen, others)


def _events(message: HeldLetter) -> list[LetterEvent]:
    whole = _as_told(describe(message))
    if names.BUNDLE not in message.headers:
        return [LetterEvent(whole, message.headers, message.body)]
    try:
        packed = unpack(message.body)
    except NotABundle:
        return [LetterEvent(whole, message.headers, message.body)]
    budget = Budget(MOST_VALUES)
    detail = f"one of {counted(len(packed), 'event')} that were parked together"
    events = []
    for content_header, body in packed:
        properties = read_properties(content_header, budget)
        headers = properties.headers or {}
        letter = replace(
            whole,
            id=id_of(properties.message_id, body),
            detail=detail,
            body_bytes=len(body),
            repeat=names.is_repeat(headers),
        )
        events.append(LetterEvent(letter, headers, body, (content_header, body)))
    return events


def _bundle(events: Sequence[LetterEvent]) -> tuple[bytes, int]:
    return pack([one.packed for one in events if one.packed is not None]), len(events)


def _as_told(letter: DeadLetter) -> DeadLetter:
    """`letter` with codes of ours alone: whoever may publish to the queue may write others."""
    return replace(
        letter,
        reason=letter.reason if letter.reason in REASONS else UNKNOWN,
        error=letter.error if letter.error is None or letter.error in ERRORS else UNKNOWN,
    )
