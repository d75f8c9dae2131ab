"""By which life the receipts know a dead letter, and what its event is called. Pure."""

from __future__ import annotations

from collections.abc import Collection

from worker.broker.dead_letter import receipted_integration
from worker.delivery.receipt_facts import facts_of
from worker.events import UndecodableEvent, open_envelope
from worker.evidence.receipt import body_id
from worker.ledger.packing import life_key, pack_event
from worker.letters.letter_events import LetterEvent
from worker.ordering.user_digests import UserKeys
from worker.redaction import shown_id


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

    def former_name(self, body: bytes) -> tuple[str, int | None] | None:
        """What receipts up to 0.3.0 call an event whose id is what it calls its person, which was
        judged by its shape alone; None for all others.
        """
        try:
            envelope = open_envelope(body)
        except UndecodableEvent:
            return None
        event_id = envelope.event_id
        if envelope.is_snapshot or shown_id(event_id) is None:
            return None
        facts = facts_of(envelope, body, None)
        return None if facts.event_id == event_id else (event_id, facts.updated_at_ms)

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
        return _life(event, self.named(event.body), receipted_integration(event.letter), is_next)

    def names_of(self, body: bytes) -> Collection[tuple[str, int | None]]:
        """What receipts may call an event, the likeliest first, and its `updated_at`. A worker that
        could not read a body, or did not try, calls the event by it.
        """
        former = self.former_name(body)
        others = [] if former is None else [former]
        return dict.fromkeys((self.named(body), (body_id(body), None), *others))

    def lives_of(self, event: LetterEvent) -> Collection[bytes]:
        """The keys of the lives that the dead letter may have ended, the likeliest first. A worker
        that knew no such integration names none.
        """
        integrations = (receipted_integration(event.letter), event.letter.integration, None)
        return dict.fromkeys(
            _life(event, name, integration)
            for name in self.names_of(event.body)
            for integration in dict.fromkeys(integrations)
        )

    def former_lives_of(self, event: LetterEvent) -> Collection[bytes]:
        """As `lives_of`, of what a worker up to 0.3.0 has tried, by its `former_name`."""
        former = self.former_name(event.body)
        return () if former is None else (_life(event, former, event.letter.integration),)


def _life(
    event: LetterEvent,
    named: tuple[str, int | None],
    integration: str | None,
    is_next: bool = False,
) -> bytes:
    name, updated_at_ms = named
    replays = event.letter.replays + is_next
    return life_key(pack_event(name), updated_at_ms, integration or "", replays)
