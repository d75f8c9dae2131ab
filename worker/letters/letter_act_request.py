"""What somebody asks to be done with dead letters, and how people and the trail are told of it.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from worker.broker.dead_letter import shown_letter_id
from worker.broker.letter_filter import Filter
from worker.redaction import shown_integration

CANARY_WAIT: Final = "330s"
"""Five retries take up to 300 s, so what fails for good is back by then."""
LONGEST_WAIT_SECONDS: Final = 1_200
"""The broker takes back what is held for 30 minutes (RabbitMQ documentation, "Consumers: Delivery
Acknowledgement Timeout"), and the pass before the wait needs some of these."""

Verb = Literal["replayed", "discarded"]
ALL: Final = "all dead letters"
OF_LOST_STATE: Final = "also those of before the state was lost"


@dataclass(frozen=True, slots=True)
class Handling:
    """What is to be done with the `chosen` dead letters. `canaries` go first, and their fate is
    waited for `wait_seconds`; `rate` is letters per second, None for as many as can be.
    """

    verb: Verb
    chosen: Filter
    dry_run: bool = False
    after_state_loss: bool = True
    canaries: int = 0
    wait_seconds: int = 0
    rate: float | None = None


def words_of(chosen: Filter) -> list[str]:
    """What narrows the dead letters down, in words: codes and ids of letters alone. The id of an
    event is left out, since that of a snapshot is a user's, and so is what was typed as an id and
    has no shape of one.
    """
    words = []
    if chosen.id is not None:
        words.append(_letter(chosen.id))
    if chosen.ids is not None:
        one = next(iter(chosen.ids), "")
        several = f"{len(chosen.ids)} chosen letters"
        words.append(_letter(one) if len(chosen.ids) == 1 else several)
    if chosen.event is not None:
        words.append("letters of one event")
    for name in ("group", "reason", "error"):
        if (said := getattr(chosen, name)) is not None:
            words.append(f"{name} {said}")
    if chosen.integration is not None:
        words.append(words_of_integration(chosen.integration))
    if chosen.since_ms is not None:
        words.append(f"dead since {_time(chosen.since_ms)}")
    if chosen.until_ms is not None:
        words.append(f"dead until {_time(chosen.until_ms)}")
    return words


def words_of_integration(said: str) -> str:
    """The words for an integration that somebody has named."""
    known = shown_integration(said)
    return "an integration" if known is None else f"integration {known}"


def words_of_work(asked: Handling) -> str:
    """The words for what is to be done with which dead letters."""
    words = words_of(asked.chosen) or [ALL]
    if asked.verb == "replayed":
        if asked.after_state_loss:
            words.append(OF_LOST_STATE)
        if asked.canaries:
            words.append(f"{asked.canaries} as canaries")
    return ", ".join(words)


def _letter(said: str) -> str:
    known = shown_letter_id(said)
    return "a letter" if known is None else f"letter {known}"


def _time(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
