"""One message: what the waiting events of one user are folded into, and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from worker.adobe.replies import Accepted, Permanent, Reply, Retryable
from worker.adobe.streaming import MAX_REQUEST_BYTES, OutgoingMessage
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.repeat_plan import granted_to, plan_repeats, stamps_for
from worker.delivery.rounds.round_results import (
    ONCE_ACCEPTED,
    Crashed,
    Result,
    Untried,
    at_once,
    standing,
)
from worker.delivery.rounds.whole_record import whole_record
from worker.fast_tuples import new_tuple
from worker.integrations.model import Integration
from worker.ordering.newest_fold import fold, when
from worker.ordering.sealed_values import Seals
from worker.ordering.snapshot_fold import Known, fold_known, maybe_said, merged_known
from worker.ordering.stamp import NEWEST_SENT, Stamp
from worker.ordering.store_protocol import UNCLEAR, Settlement
from worker.ordering.unclear_requests import Moment, mark_of, moments_of
from worker.ordering.user_digests import is_rotating
from worker.ordering.verdicts import Verdict
from worker.reasons import ErrorCode
from worker.transform.decision_types import NOTHING
from worker.transform.mapped_weight import written_bytes
from worker.transform.xdm_message import build_record, encode_message

log = structlog.get_logger(__name__)

NOTHING_KNOWN: Final = Known({}, {})
TOO_LARGE: Final = Permanent(ErrorCode.ADOBE_REJECTED, "too large for one request")
_TIMEOUT: Final = Retryable(ErrorCode.TIMEOUT, "no answer in time")


class UserMessage:
    """The message of some deliveries of one user, who is held by `lease`. `known` is what stands of
    that user before it, `granted` its stamps by the ids that the deliveries have now.
    """

    __slots__ = (
        "deliveries",
        "folded",
        "found",
        "granted",
        "integration",
        "is_damaged",
        "is_unclear",
        "known",
        "lease",
        "outgoing",
        "parts",
        "reply",
        "user",
        "was_sent",
    )

    def __init__(
        self,
        integration: Integration,
        deliveries: list[Delivery],
        user: str,
        lease: int,
        known: Known,
        found: Known | None = None,
    ) -> None:
        self.integration = integration
        self.found = found
        self.user = user
        self.deliveries = deliveries
        self.lease = lease
        self.known = known
        stamps = known.stamps
        if stamps:  # of most there are none
            stamps = granted_to(deliveries, stamps)
        self.granted = stamps
        if len(deliveries) == 1 and not deliveries[0].state.is_repeat:  # as most
            choices = [deliveries[0].choice]
        else:
            choices = [one.choice for one in deliveries]
            stamps = stamps_for(deliveries, choices, stamps)
        if integration.keeps_more:
            replaces = integration.replaces_record
            before = known if stamps is known.stamps else known._replace(stamps=stamps)
            sent = [n for n, one in enumerate(deliveries) if one.state.may_be_at_adobe]
            self.folded = fold_known(choices, before, replaces=replaces, maybe_at_adobe=sent)
        else:
            self.folded = fold(choices, stamps)
        self.outgoing: OutgoingMessage | None = None
        self.reply: Reply | Crashed | Untried | None = None
        self.is_unclear = self.was_sent = self.is_damaged = False
        self.parts: tuple[UserMessage, ...] = ()

    def completed(self, found: Known) -> UserMessage:
        """The message with what was found at Adobe, which is kept once a message has carried it."""
        known = Known({**self.known.stamps, **found.stamps}, {**self.known.said, **found.said})
        return UserMessage(self.integration, self.deliveries, self.user, self.lease, known, found)

    def mark_sent(self) -> None:
        """A request that speaks of the message begins."""
        self.was_sent = True
        for delivery in self.deliveries:
            delivery.was_sent = True

    def late(self) -> Retryable | Untried:
        """What is to be said of the message when the time of the attempt is over."""
        tried = any(one.was_sent or one.is_suspect for one in self.deliveries)
        return _TIMEOUT if tried else Untried()

    def encode(self) -> bool:
        """Whether there is a message now. What can't be encoded concerns itself alone."""
        try:
            deliveries = self.deliveries
            newest = deliveries[0].choice
            if len(deliveries) > 1:
                newest = max([one.choice for one in deliveries], key=when)
            integration = self.integration
            attributes: Mapping[str, Any] = self.folded.attributes
            if integration.replaces_record:
                attributes = whole_record(integration, self.known, attributes)
            if len(deliveries) > 1 and written_bytes(attributes.values()) > MAX_REQUEST_BYTES:
                self.reply = TOO_LARGE
                return False
            time_ms = newest.event_time_ms
            if integration.event_time_path is not None:
                time_ms = self._newest_sent_ms()
            record = build_record(integration, attributes, newest.identity, time_ms)
            body = encode_message(integration, record)
            self.outgoing = new_tuple(OutgoingMessage, (body, record))
        except Exception as error:
            log.exception("message.not_encodable", integration=self.integration.id)
            self.reply = Crashed(type(error).__name__)
        return self.outgoing is not None

    def _newest_sent_ms(self) -> int:
        """The time of the newest event that is in the message, or in an earlier one of the user."""
        times = [one.choice.event_time_ms for one in self.deliveries]
        if (known := self.known.stamps.get(NEWEST_SENT)) is not None:
            times.append(known.time_ms)
        return max(times)

    def results(self) -> list[tuple[Delivery, Result]]:
        """What became of each delivery of the message."""
        if self.parts:
            return [result for part in self.parts for result in part.results()]
        if UNCLEAR in self.granted:
            plan_repeats(
                self.deliveries,
                self.folded.verdicts,
                self.granted,
                is_accepted=isinstance(self.reply, Accepted),
                replaces=self.integration.replaces_record,
            )
        deliveries, verdicts = self.deliveries, self.folded.verdicts
        if len(deliveries) == 1:
            return [(deliveries[0], self._result(deliveries[0], verdicts[0]))]
        return [
            (delivery, self._result(delivery, verdict))
            for delivery, verdict in zip(deliveries, verdicts, strict=True)
        ]

    def _result(self, delivery: Delivery, verdict: Verdict) -> Result:
        if verdict is Verdict.CONTRIBUTES:
            return self.reply or _TIMEOUT
        if (result := at_once(verdict, delivery, self.known.said)) is not None:
            return result
        is_done = not self.folded.is_sent or isinstance(self.reply, Accepted)
        if is_done and verdict in ONCE_ACCEPTED:
            return ONCE_ACCEPTED[verdict]
        return self.reply or _TIMEOUT

    def accepted(self) -> Known:
        """What stands of the user now that did not before: of what Adobe accepted, or what was only
        to be remembered.
        """
        own = self._accepted()
        if self.found is None or not own.stamps:  # as nearly always
            return own
        return Known({**self.found.stamps, **own.stamps}, {**self.found.said, **own.said})

    def _accepted(self) -> Known:
        if self.parts:
            return merged_known([part.accepted() for part in self.parts])
        if not self.folded.is_sent:
            return Known(self.folded.written, self.folded.said)
        if not isinstance(self.reply, Accepted):
            return Known(standing(self.reply, self.folded, self.integration), NOTHING)
        if self.integration.event_time_path is None:
            return new_tuple(Known, (self.folded.written, self.folded.said))
        return Known({**self.folded.written, **self._newest_sent()}, self.folded.said)

    def _newest_sent(self) -> dict[str, Stamp]:
        if self.integration.event_time_path is None:
            return {}
        return {NEWEST_SENT: Stamp(self._newest_sent_ms(), 0, False, "")}

    def unclear(self) -> list[Moment]:
        """Of when the choices are that Adobe may have got, or get later, without an answer."""
        unclear = [one for part in self.parts for one in part.unclear()]
        if self.is_unclear:  # by itself, before it was taken apart
            unclear += moments_of([one.choice for one in self.deliveries], self.folded)
        return unclear

    def _maybe_said(self) -> Known:
        """What a request without an answer may have set; a whole record needs no list of it."""
        maybe = [part._maybe_said() for part in self.parts]
        if self.is_unclear and not self.integration.replaces_record:
            maybe.append(maybe_said(self.folded, self.known))
        return merged_known(maybe) if maybe else NOTHING_KNOWN

    def plain_settlement(self) -> Settlement | None:
        """The end of a lease of which only stamps are to be kept, as of most; else None."""
        if self.parts or self.is_unclear or self.integration.event_time_path is not None:
            return None
        written = standing(self.reply, self.folded, self.integration)
        return new_tuple(
            Settlement, (self.user, self.lease, written, self.was_sent, None, False, False)
        )

    def settlement(self, accepted: Known, unclear_ms: int, seals: Seals) -> Settlement:
        """The end of the user's lease; `accepted` is what stands now that did not before."""
        keeps_more = self.integration.keeps_more
        stamps, said = accepted
        texts = None
        if keeps_more:
            if self.is_unclear or self.parts:
                stamps, said = merged_known([self._maybe_said(), accepted])
            if is_rotating(self.user):  # what is known is sealed anew, for when that is over
                known = {path: self.known.stamps[path] for path in self.known.said}
                stamps = {**known, **stamps}
                said = {**self.known.said, **said}
            texts = seals.texts(self.user, stamps, said)
        unclear = self.unclear() if self.is_unclear or self.parts else []
        if unclear:
            whole, before = self.integration.replaces_record, self.known.stamps.get(UNCLEAR)
            mark = mark_of(unclear, unclear_ms, before, is_whole=whole)
            stamps = {**stamps, **self._newest_sent(), UNCLEAR: mark}
        found = () if self.found is None else self.found.stamps
        is_part = self.integration.replaces_record and bool(self.known.stamps.keys() - found)
        said_of_it = (self.user, self.lease, stamps, self.was_sent, texts, keeps_more, is_part)
        return new_tuple(Settlement, said_of_it)
