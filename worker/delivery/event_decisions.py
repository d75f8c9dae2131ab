"""From a body to a delivery: how an event is read, and what it says to one integration. Pure.

Whoever decides an event, at first or anew, does it here. Otherwise one way would tell and keep what
another makes a digest of, or call a person by a digest that another state has.
"""

from __future__ import annotations

from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.receipt_facts import FactsOf
from worker.events import Envelope, open_envelope
from worker.integrations.model import Integration
from worker.ordering.user_digests import UserKeys
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver, Early, Reject, Skip


class EventDecisions:
    """Reads events, and makes deliveries of what they say. `users` makes the digests of persons and
    of Didomi users; `facts_of` tells what receipts need of an event.
    """

    def __init__(self, users: UserKeys, facts_of: FactsOf) -> None:
        self._users = users
        self._facts_of = facts_of

    def read(self, body: bytes) -> Envelope:
        """An event, with an id that may be told and kept. Raises `UndecodableEvent`."""
        return self._users.without_person(open_envelope(body))

    def decide(
        self,
        message: Incoming,
        state: RetryState,
        envelope: Envelope,
        integration: Integration,
        now_ms: int,
        is_suspect: bool,
    ) -> Delivery | Skip | Early | Reject:
        """What an event that was read says to one integration, as a delivery if it is to be sent;
        `now_ms` is in ms since 1970. A delivery calls its person by the digest that the state of
        that integration has.
        """
        choice = decide(integration, envelope, now_ms)
        if not isinstance(choice, Deliver):
            return choice
        identity = choice.identity
        user = self._users.user_key(integration.state_id, identity.place, identity.value)
        if choice.didomi_user is not None:
            choice = self._users.without_didomi_user(integration.state_id, choice)
        facts = self._facts_of(envelope, message.body, choice)
        others = self._users.other_ids(envelope)
        return Delivery(message, state, integration, choice, user, is_suspect, facts, others)
