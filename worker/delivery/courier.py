"""One round for an integration: what is still news, is it wanted, send it, remember it.

    begin (lease, stamps) ─► fold ─► look-up, if wanted ─► send, take apart if refused ─► settle

A *parcel* is the one message that the waiting events of one user are folded into. Each event keeps
an outcome of its own: by the fold's verdict on it and the fate of its parcel.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from worker.adobe.deadline import Deadline, awake_or_not, is_too_late, until
from worker.adobe.replies import Accepted, Permanent, Reply, Retryable
from worker.adobe.streaming import MAX_REQUEST_BYTES, OutgoingMessage
from worker.adobe.written import watched
from worker.delivery.delivery import Delivery
from worker.delivery.gap import gaps_of
from worker.delivery.gate import StoreGate
from worker.delivery.repeats import plan_repeats, stamps_for
from worker.delivery.slots import RequestSlots
from worker.integrations.model import Integration
from worker.ordering.newest import Choices, Folded, Stamp, Verdict, fold
from worker.ordering.store import ERASED, UNCLEAR, Claim, Contended, Granted, Settlement
from worker.ordering.unclear import mark_of
from worker.transform.decision import Deliver, Identity
from worker.transform.xdm import build_record, encode_message

log = structlog.get_logger(__name__)

_WHOLE_RECORD = "."
"""No attribute's path; a record that Adobe replaces is ordered as if it were one attribute."""
_FRAME_BYTES = 2
_TIMEOUT = Retryable("timeout", "no answer in time")


class Sender(Protocol):
    """Talks to Adobe, and never raises for what Adobe or the network does."""

    async def look_up(self, integration: Integration, identity: Identity) -> Reply | None: ...

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent: ...


@dataclass(frozen=True, slots=True)
class Superseded:
    """Adobe has something newer for every attribute of the event."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Adobe has accepted this very event."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The person has been erased since the choice was made."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker is sending for the user (`is_held`), or has just done so; the user is free
    after `wait_seconds` at the latest.
    """

    wait_seconds: float
    is_held: bool


@dataclass(frozen=True, slots=True)
class Crashed:
    """A fault of our own; `error` is its type."""

    error: str


@dataclass(frozen=True, slots=True)
class Untried:
    """No request of the attempt's time was left for the event: Adobe has not seen it."""


Result = Reply | Superseded | Duplicate | Erased | Busy | Crashed | Untried


class _Parcel:
    __slots__ = (
        "deliveries",
        "folded",
        "granted",
        "is_unclear",
        "message",
        "parts",
        "reply",
        "user",
        "was_sent",
    )

    def __init__(
        self, deliveries: list[Delivery], granted: Granted, folded: Folded, user: str
    ) -> None:
        self.user = user
        self.deliveries = deliveries
        self.granted = granted
        self.folded = folded
        self.message: OutgoingMessage | None = None
        self.reply: Reply | Crashed | Untried | None = None
        self.is_unclear = self.was_sent = False
        self.parts: list[_Parcel] = []

    def mark_sent(self) -> None:
        """A request that speaks of it begins."""
        for delivery in self.deliveries:
            delivery.was_sent = True

    def late(self) -> Retryable | Untried:
        """What is to be said of it when the time of the attempt is over."""
        tried = any(one.was_sent or one.is_alone for one in self.deliveries)
        return _TIMEOUT if tried else Untried()

    def encode(self, integration: Integration) -> bool:
        """Whether there is a message now. What can't be encoded concerns itself alone."""
        try:
            self._encode(integration)
        except Exception as error:
            log.exception("message.not_encodable", integration=integration.id)
            self.reply = Crashed(type(error).__name__)
        return self.message is not None

    def _encode(self, integration: Integration) -> None:
        choices = [one.choice for one in self.deliveries]
        newest = choices[0] if len(choices) == 1 else max(choices, key=_when)
        attributes = self.folded.attributes
        if integration.replaces_record:
            attributes = attributes[_WHOLE_RECORD]
        record = build_record(integration, attributes, newest.identity, newest.event_time_ms)
        self.message = OutgoingMessage(encode_message(integration, record), record)

    def results(self) -> list[tuple[Delivery, Result]]:
        if self.parts:
            return [result for part in self.parts for result in part.results()]
        is_accepted = isinstance(self.reply, Accepted)
        stored, verdicts = self.granted.stored, self.folded.verdicts
        plan_repeats(self.deliveries, verdicts, stored, is_accepted=is_accepted)
        return [
            (delivery, _result(verdict, self.reply))
            for delivery, verdict in zip(self.deliveries, verdicts, strict=True)
        ]

    def accepted(self) -> Mapping[str, Stamp]:
        """The stamps of what Adobe accepted."""
        if self.parts:
            return {path: stamp for part in self.parts for path, stamp in part.accepted().items()}
        return self.folded.written if isinstance(self.reply, Accepted) else {}

    def unclear(self) -> list[Deliver]:
        """The choices that Adobe may have got, or get later, without an answer."""
        if self.parts:
            return [one for part in self.parts for one in part.unclear()]
        if not self.is_unclear:
            return []
        pairs = zip(self.deliveries, self.folded.verdicts, strict=True)
        return [one.choice for one, verdict in pairs if verdict is Verdict.CONTRIBUTES]

    def settlement(self, unclear_ms: int) -> Settlement:
        written = self.accepted()
        if unclear := self.unclear():
            known = self.granted.stored.get(UNCLEAR)
            written = {**written, UNCLEAR: mark_of(unclear, unclear_ms, known)}
        return Settlement(self.user, self.granted.lease, written, self.was_sent)


class Courier:
    """`attempt_seconds` bounds one round, so that a lease outlives it. A request without a valid
    answer may be carried out for `unclear_seconds` more.
    """

    def __init__(
        self, sender: Sender, gate: StoreGate, attempt_seconds: float, unclear_seconds: float
    ) -> None:
        self._sender = sender
        self._gate = gate
        self._attempt_seconds = attempt_seconds
        self._unclear_ms = round(unclear_seconds * 1000)

    async def deliver(
        self, integration: Integration, groups: Sequence[list[Delivery]], slots: RequestSlots
    ) -> list[tuple[Delivery, Result]]:
        """A result for each delivery; each group has those of one user. Each request has one of
        the `slots`.

        Raises `StoreUnavailable`, and then nothing was sent.
        """
        with until(Deadline(awake_or_not() + self._attempt_seconds)):
            return await self._deliver(integration, groups, slots)

    async def _deliver(
        self, integration: Integration, groups: Sequence[list[Delivery]], slots: RequestSlots
    ) -> list[tuple[Delivery, Result]]:
        # From before the store is asked: the lease runs since then, however late its answer is.
        deadline = time.monotonic() + self._attempt_seconds
        claims = [Claim(group[0].user, _claimed(integration, group)) for group in groups]
        answers = await self._gate.store.begin(integration.id, claims)
        results: list[tuple[Delivery, Result]] = []
        parcels: list[_Parcel] = []
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, Contended):
                busy = Busy(answer.wait_seconds, answer.is_held)
                results.extend((one, busy) for one in group)
                continue
            left = group
            if ERASED in answer.stored:
                left = _not_erased(group, answer.stored[ERASED])
                results.extend((one, Erased()) for one in group if one not in left)
            parcels.append(_parcel(integration, left, answer, group[0].user))
        wanted = [one for one in parcels if one.folded.attributes]
        if integration.needs_lookup:
            wanted = await self._existing(integration, wanted, slots, deadline)
        sendable = [one for one in wanted if one.encode(integration)]
        await self._send(integration, sendable, slots, deadline)
        for parcel in wanted:
            if len(parcel.deliveries) > 1 and _is_messages_fault(parcel.reply):
                await self._take_apart(integration, parcel, slots, deadline)
        await self._settle(integration, [one.settlement(self._unclear_ms) for one in parcels])
        for parcel in parcels:
            results.extend(parcel.results())
        return results

    async def _settle(self, integration: Integration, settlements: list[Settlement]) -> None:
        """Give the users back, each with a gap."""
        after_success, after_failure = gaps_of(integration, self._attempt_seconds)
        if after_success == after_failure:
            await self._gate.settle(integration.id, settlements, after_success)
            return
        accepted: list[Settlement] = []
        rest: list[Settlement] = []
        for one in settlements:
            (accepted if one.written.keys() - {UNCLEAR} else rest).append(one)
        await self._gate.settle(integration.id, accepted, after_success)
        await self._gate.settle(integration.id, rest, after_failure)

    async def _take_apart(
        self, integration: Integration, parcel: _Parcel, slots: RequestSlots, deadline: float
    ) -> None:
        """A message of several events was refused: let each of them stand for itself.

        The newest goes first, so that an older one keeps only what no newer one has said: then no
        two of these messages, which follow without a gap, speak of the same attribute.
        """
        lease, stored = parcel.granted
        for delivery in sorted(parcel.deliveries, key=lambda one: _when(one.choice), reverse=True):
            part = _parcel(integration, [delivery], Granted(lease, stored), delivery.user)
            if part.folded.attributes:
                sendable = [part] if part.encode(integration) else []
                await self._send(integration, sendable, slots, deadline)
            stored = {**stored, **part.accepted()}
            parcel.parts.append(part)

    async def _existing(
        self,
        integration: Integration,
        parcels: list[_Parcel],
        slots: RequestSlots,
        deadline: float,
    ) -> list[_Parcel]:
        """Those whose contact Adobe knows; the others have their reply.

        All at once as far as there are slots, but after what has only to be sent: a round that is
        nearly done is not to wait for the many look-ups of those behind it.
        """

        async def look_up(parcel: _Parcel) -> None:
            delivery = parcel.deliveries[0]
            try:
                async with (
                    asyncio.timeout(deadline - time.monotonic()),
                    slots.one(first=delivery.is_alone),
                ):
                    if is_too_late():  # a timer that has expired is heard only at a pause
                        raise TimeoutError
                    parcel.mark_sent()
                    identity = delivery.choice.identity
                    parcel.reply = await self._sender.look_up(integration, identity)
            except TimeoutError:
                parcel.reply = parcel.late()

        await asyncio.gather(*(look_up(parcel) for parcel in parcels))
        return [parcel for parcel in parcels if parcel.reply is None]

    async def _send(
        self,
        integration: Integration,
        parcels: list[_Parcel],
        slots: RequestSlots,
        deadline: float,
    ) -> None:
        """Send in one request; what is refused as a whole, in halves, until the bad one is alone.

        One request after the other, so that a lane never has more in flight than its window.
        """
        if not parcels:
            return
        messages = [one.message for one in parcels if one.message is not None]
        size = sum(len(one.body) + _FRAME_BYTES for one in messages) + 16
        replies: list[Accepted | Retryable | Permanent] | Retryable | Permanent
        if len(parcels) > 1 and size > MAX_REQUEST_BYTES:
            replies = Permanent("adobe-rejected", "too large for one request")
            was_repeated = False
        else:
            with watched() as writing:
                try:
                    async with asyncio.timeout(deadline - time.monotonic()), slots.one(first=True):
                        if is_too_late():  # a timer that has expired is heard only at a pause
                            raise TimeoutError
                        for parcel in parcels:
                            parcel.was_sent = True
                            parcel.mark_sent()
                        replies = await self._sender.send(integration, messages)
                except TimeoutError:
                    for parcel in parcels:
                        parcel.reply = parcel.late()
                        parcel.is_unclear = writing.awaits_answer
                    return
            was_repeated = writing.was_repeated
        if len(parcels) > 1 and _is_messages_fault(replies):
            middle = len(parcels) // 2
            await self._send(integration, parcels[:middle], slots, deadline)
            await self._send(integration, parcels[middle:], slots, deadline)
            return
        each = replies if isinstance(replies, list) else [replies] * len(parcels)
        for parcel, reply in zip(parcels, each, strict=True):
            parcel.reply = reply
            is_unclear = isinstance(reply, Retryable) and reply.is_unclear
            parcel.is_unclear = is_unclear or was_repeated


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A choice for the record as a whole: of a snapshot nothing may be left out, since what it does
    not say is erased at Adobe. So the newest one wins entirely.
    """

    event_id: str
    event_time_ms: int
    updated_at_ms: int | None
    attributes: dict[str, object]


def _not_erased(group: list[Delivery], tombstone: Stamp) -> list[Delivery]:
    """Those of `group` that are of after the person's erasure."""
    return [one for one in group if one.choice.event_time_ms > tombstone.time_ms]


def _parcel(
    integration: Integration, group: list[Delivery], granted: Granted, user: str
) -> _Parcel:
    choices: list[Choices] = [one.choice for one in group]
    if integration.replaces_record:
        choices = [
            _Snapshot(
                one.event_id, one.event_time_ms, one.updated_at_ms, {_WHOLE_RECORD: one.attributes}
            )
            for one in choices
        ]
    stored = stamps_for(group, choices, granted.stored)
    return _Parcel(group, granted, fold(choices, stored), user)


def _claimed(integration: Integration, group: list[Delivery]) -> tuple[str, ...] | set[str]:
    if integration.replaces_record:
        return (_WHOLE_RECORD, ERASED, UNCLEAR)
    if len(group) == 1:
        return (*group[0].choice.attributes, ERASED, UNCLEAR)
    return {path for one in group for path in one.choice.attributes} | {ERASED, UNCLEAR}


def _is_messages_fault(reply: object) -> bool:
    """Whether it is worth to find out which message, or which event of it, was refused."""
    return isinstance(reply, Crashed) or (isinstance(reply, Permanent) and reply.fault != "set-up")


def _when(choice: Deliver) -> tuple[int, int]:
    return choice.event_time_ms, choice.updated_at_ms or 0


def _result(verdict: Verdict, reply: Reply | Crashed | Untried | None) -> Result:
    if verdict is Verdict.SUPERSEDED:
        return Superseded()
    if verdict is Verdict.DUPLICATE:
        return Duplicate()
    if isinstance(reply, Accepted) and verdict is not Verdict.CONTRIBUTES:
        return Superseded() if verdict is Verdict.YIELDS else Duplicate()
    return reply or _TIMEOUT
