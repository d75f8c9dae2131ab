"""By which life the receipts know a dead letter, and what its event is called. Pure."""

from __future__ import annotations

from worker.delivery.receipt_facts import facts_of
from worker.events import UndecodableEvent, open_envelope
from worker.evidence.receipt import body_id
from worker.ledger.packing import life_key, pack_event
from worker.letters.letter_events import LetterEvent
from worker.ordering.user_digests import UserKeys


class LetterKeys:
    """What receipts call dead letters and their events. `users` are those of the workers: the id of
    a snapshot is a user's, and receipts have its digest.
    """

    def __init__(self, users: UserKeys) -> None:
        self._users = users

    def named(self, body: bytes) -> tuple[str, int | None]:
        """What receipts call an event, and when it was updated (ms since 1970)."""
        try:
            envelope = self._users.without_person(open_envelope(body))
        except UndecodableEvent:
            return body_id(body), None
        facts = facts_of(envelope, body, None)
        return facts.event_id, facts.updated_at_ms

    def ids_of(self, body: bytes) -> set[str]:
        """All that an event is called by: Didomi's id, what the log and the state have in its place
        where that may tell of a person, and what receipts call it.
        """
        by_body = body_id(body)
        try:
            envelope = open_envelope(body)
        except UndecodableEvent:
            return {by_body}
        told = self._users.without_person(envelope)
        return {envelope.event_id, told.event_id, *self._users.other_ids(told), by_body}

    def key_of(self, event: LetterEvent, *, is_next: bool = False) -> bytes:
        """The key of the life that ended with the dead letter, or of the next one, which a replay
        begins.
        """
        letter = event.letter
        name, updated_at_ms = self.named(event.body)
        integration = letter.integration or ""
        return life_key(pack_event(name), updated_at_ms, integration, letter.replays + is_next)
