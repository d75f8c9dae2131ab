"""Makes the receipt of each outcome, and has an event acknowledged only after it.

A receipt is made when its outcome is told. What has a successor is receipted when the broker has
confirmed that: until then the outcome may not come to pass. Then follows the acknowledgement, so of
an event that is lost with its worker there may be two receipts, and never none. A repeat has none:
the outcome of its event is on record. A message that somebody acknowledges otherwise is done and
not on record, and the counts of the worker tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from worker.adobe.replies import Accepted
from worker.broker import headers as names
from worker.broker.headers import last_failure_in
from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.outcome import Dead, Failure, Outcome, Parked, Retried, Skipped
from worker.delivery.receipt_facts import EventFacts, FactsOf, facts_of
from worker.events import Envelope
from worker.evidence.letter_cause import adobe_code_in, field_in
from worker.evidence.receipt import OutcomeName, ReceiptFields, body_id
from worker.integrations.model import Integration
from worker.reasons import DeadReason, ErrorCode, SkipReason
from worker.redaction import redact, shown_id, shown_name
from worker.transform.choice_summary import told_attributes
from worker.transform.decision_types import Deliver

_ERRORS: Final = {str(one): one for one in ErrorCode}
_LARGEST_STATUS: Final = 999
Done = Callable[[], None]


class ReceiptBook(Protocol):
    """Where receipts are written."""

    def user_hash(self, organization_user_id: str, at_ms: int) -> str | None:
        """How a person is called in receipts of `at_ms` (ms since 1970); None without a key."""
        ...

    def write(self, receipt: ReceiptFields, then: Done) -> None:
        """Call `then` once the receipt is on record; or at once, while none can be."""
        ...


class Receipting:
    """Makes the receipts of outcomes. Without a `book` nothing is made, and everything is done as
    it was. `find` gives the integration in force with an id, `is_known` says whether an id may be
    written down.
    """

    def __init__(
        self,
        book: ReceiptBook | None,
        find: Callable[[str], Integration | None],
        is_known: Callable[[str], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._book = book
        self.facts: FactsOf = facts_of if book is not None else _no_facts
        """What receipts need of an event."""
        self._find = find
        self._is_known = is_known
        self._now_ms = now_ms

    def config_of(self, integration_id: str | None) -> str:
        """The version of an integration's configuration, "" where none is in force."""
        integration = self._find(integration_id) if integration_id else None
        return integration.version if integration is not None else ""

    def delivered(
        self, delivery: Delivery, accepted: Accepted | None, attempts: int, at_ms: int
    ) -> Done:
        """What is to be called when Adobe has accepted a delivery, after so many `attempts`; which
        was told at `at_ms` (ms since 1970). `accepted` is None where its reply came to nobody.
        """
        if self._book is None:
            return delivery.message.done
        xaction, status = accepted if accepted is not None else (None, None)
        return self._of_delivery(delivery, "delivered", "", attempts, at_ms, None, status, xaction)

    def skipped(self, delivery: Delivery, reason: SkipReason, at_ms: int) -> Done:
        """What is to be called when nothing is to be done for a delivery."""
        return self._of_delivery(delivery, "skipped", reason, delivery.state.attempts_made, at_ms)

    def followed(
        self,
        delivery: Delivery,
        outcome: Retried | Parked | Dead,
        state: RetryState,
        at_ms: int,
    ) -> Done:
        """What is to be called when the successor of a delivery is confirmed; `state` is that
        before the outcome.
        """
        name, reason, due_seconds, failure = _told(outcome)
        due_at_ms = None if due_seconds is None else at_ms + round(due_seconds * 1000)
        made, status = state.attempts_made, failure.http_status if failure is not None else None
        return self._of_delivery(
            delivery, name, reason, made, at_ms, due_at_ms, status, failure=failure
        )

    def untried(
        self,
        message: Incoming,
        facts: EventFacts | None,
        integration_id: str | None,
        state: RetryState,
        outcome: Outcome,
    ) -> Done:
        """What is to be called when a delivery ends that was in no lane, and its successor, if it
        has one, is confirmed.
        """
        book = self._book
        if book is None:
            return message.done
        if state.is_repeat:
            return message.done_on_record
        name, reason, due_seconds, failure = _told(outcome)
        if failure is not None and failure.error is DeadReason.RETRIES_EXHAUSTED:
            failure = _of_last_attempt(message.headers) or failure
        is_known = integration_id is not None and self._is_known(integration_id)
        at_ms = self._now_ms()
        receipt: ReceiptFields = {
            "event": facts.event_id if facts is not None else body_id(message.body),
            "updated_at": facts.updated_at_ms if facts is not None else None,
            "integration": integration_id or "" if is_known else "",
            "organization": _shown(facts.organization_id) if facts is not None else "",
            "delivery": state.replays,
            "outcome": name,
            "reason": reason,
            "attempt": state.attempts_made,
            "user": book.user_hash(facts.user_id, at_ms) if facts is not None else None,
            "choice": None,
            "attributes": {},
            "event_at": facts.event_at_ms if facts is not None else None,
            "due_at": None if due_seconds is None else at_ms + round(due_seconds * 1000),
            "status": failure.http_status if failure is not None else None,
            "xaction": None,
            "config": self.config_of(integration_id),
            "at": at_ms,
        }
        if failure is not None:
            _add_cause(receipt, failure)
        return partial(book.write, receipt, message.done_on_record)

    def _of_delivery(
        self,
        delivery: Delivery,
        name: OutcomeName,
        reason: str,
        attempts: int,
        at_ms: int,
        due_at_ms: int | None = None,
        status: int | None = None,
        xaction: str | None = None,
        failure: Failure | None = None,
    ) -> Done:
        book, facts, message = self._book, delivery.facts, delivery.message
        if book is None or facts is None:
            return message.done
        if delivery.state.is_repeat:
            return message.done_on_record
        integration = delivery.integration
        is_erased = reason is SkipReason.ERASED  # nothing more of such a person is written down
        receipt: ReceiptFields = {
            "event": facts.event_id,
            "updated_at": facts.updated_at_ms,
            "integration": integration.id,
            "organization": integration.organization_id,
            "delivery": delivery.state.replays,
            "outcome": name,
            "reason": reason,
            "attempt": attempts,
            "user": None if is_erased else book.user_hash(facts.user_id, at_ms),
            "choice": None if is_erased else delivery.choice.kind,
            "attributes": {} if is_erased else told_attributes(integration, delivery.choice),
            "event_at": facts.event_at_ms,
            "due_at": due_at_ms,
            "status": status,
            "xaction": xaction,
            "config": integration.version,
            "at": at_ms,
        }
        if failure is not None:
            _add_cause(receipt, failure)
        return partial(book.write, receipt, message.done_on_record)


def _no_facts(envelope: Envelope, body: bytes, choice: Deliver | None) -> None:
    return None


def _told(outcome: Outcome) -> tuple[OutcomeName, str, float | None, Failure | None]:
    """Name, reason, seconds until it is due, and what went wrong."""
    match outcome:
        case Skipped(reason):
            return "skipped", reason, None, None
        case Retried(seconds, failure):
            return "retried", failure.error, seconds, failure
        case Parked(seconds, reason, failure):
            return "parked", reason, seconds, failure
        case Dead(reason, failure):
            return "dead", reason, None, failure


def _add_cause(receipt: ReceiptFields, failure: Failure) -> None:
    """What went wrong, in codes alone."""
    if failure.error != receipt["reason"] or receipt["outcome"] == "dead":
        receipt["error"] = failure.error
    detail = redact(failure.detail)  # as a dead letter is read, or its group would be another one
    if (code := adobe_code_in(detail)) is not None:
        receipt["code"] = code
    if (field := field_in(receipt["reason"], detail)) is not None:
        receipt["field"] = field


def _of_last_attempt(headers: Mapping[str, Any]) -> Failure | None:
    """What its dead letter tells of an event that came back after its budget."""
    said = last_failure_in(headers)
    if not said:
        return None
    detail, status = said.get(names.ERROR_DETAIL), said.get(names.HTTP_STATUS)
    return Failure(
        _ERRORS[said[names.ERROR]],
        detail if isinstance(detail, str) else "",
        status if type(status) is int and 0 <= status <= _LARGEST_STATUS else None,
    )


def _shown(organization_id: str) -> str:
    """An id of an event that no integration vouches for, as far as it is one by its shape."""
    return shown_id(organization_id) or shown_name(organization_id) or ""
