"""By which life the receipts know a dead letter. Pure."""

from __future__ import annotations

from worker.delivery.event_facts import facts_of
from worker.events import UndecodableEvent, open_envelope
from worker.evidence.receipt import body_id
from worker.ledger.packing import life_key, pack_event
from worker.letters.letter_events import LetterEvent


def event_named(body: bytes) -> tuple[str, int | None]:
    """What receipts call an event, and when it was updated (ms since 1970)."""
    try:
        facts = facts_of(open_envelope(body), body, None)
    except UndecodableEvent:
        return body_id(body), None
    return facts.event_id, facts.updated_at_ms


def key_of(event: LetterEvent, named: tuple[str, int | None], *, is_next: bool = False) -> bytes:
    """The key of the life that ended with the letter, or of the next one, which a replay begins."""
    letter = event.letter
    name, updated_at_ms = named
    integration = letter.integration or ""
    return life_key(pack_event(name), updated_at_ms, integration, letter.replays + is_next)
