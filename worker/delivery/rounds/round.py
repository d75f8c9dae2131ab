"""One round for an integration: what is still news, is it wanted, send it, remember it.

    begin (lease, stamps) ─► fold ─► look-up, if wanted ─► send, take apart if refused ─► settle

A *parcel* is the one message that the waiting events of one user are folded into. Each event keeps
an outcome of its own: by the fold's verdict on it and the fate of its parcel.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from worker.adobe.deadline import Deadline, awake_or_not, is_too_late, until
from worker.adobe.replies import Accepted, Permanent, Reply, Retryable
from worker.adobe.streaming import MAX_REQUEST_BYTES, OutgoingMessage
from worker.adobe.written import watched
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.completion import Completion
from worker.delivery.rounds.gaps import gaps_of
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.results import Busy, Crashed, Erased, Result
from worker.delivery.rounds.store_claims import claim_of
from worker.delivery.rounds.store_gate import StoreGate
from worker.delivery.rounds.user_message import NOTHING_KNOWN, Parcel, when
from worker.integrations.model import Integration
from worker.ordering.newest import Stamp
from worker.ordering.snapshots import Known
from worker.ordering.store import ERASED, Contended, Granted, Settlement
from worker.ordering.values import Seals
from worker.transform.decision import Identity

_FRAME_BYTES = 2


class Sender(Protocol):
    """Talks to Adobe, and never raises for what Adobe or the network does."""

    async def look_up(self, integration: Integration, identity: Identity) -> Reply | None: ...

    async def look_up_record(
        self, integration: Integration, identity: Identity, paths: Sequence[str]
    ) -> Mapping[str, Any] | Reply: ...

    async def send(
        self, integration: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent: ...


class Courier:
    """`attempt_seconds` bounds one round, so that a lease outlives it. A request without a valid
    answer may be carried out for `unclear_seconds` more. What is kept beside stamps has `seals`.
    """

    def __init__(
        self,
        sender: Sender,
        gate: StoreGate,
        attempt_seconds: float,
        unclear_seconds: float,
        seals: Seals | None = None,
    ) -> None:
        self._sender = sender
        self._gate = gate
        self._completion = Completion(sender, gate)
        self._attempt_seconds = attempt_seconds
        self._unclear_ms = round(unclear_seconds * 1000)
        self._seals = seals or Seals()

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
        claims = [claim_of(integration, group) for group in groups]
        answers = await self._gate.store.begin(integration.id, claims)
        results: list[tuple[Delivery, Result]] = []
        parcels: list[Parcel] = []
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, Contended):
                busy = Busy(answer.wait_seconds, answer.is_held)
                results.extend((one, busy) for one in group)
                continue
            left = group
            if ERASED in answer.stored:
                left = _not_erased(group, answer.stored[ERASED])
                results.extend((one, Erased()) for one in group if one not in left)
            parcels.append(self._parcel(integration, left, answer, group[0].user))
        if integration.replaces_record:
            parcels = await self._completion.complete(integration, parcels, slots, deadline)
        wanted = [one for one in parcels if one.folded.is_sent and one.reply is None]
        if integration.needs_lookup:
            wanted = await self._existing(integration, wanted, slots, deadline)
        sendable = [one for one in wanted if one.encode()]
        await self._send(integration, sendable, slots, deadline)
        for parcel in wanted:
            if len(parcel.deliveries) > 1 and _is_messages_fault(parcel.reply):
                await self._take_apart(integration, parcel, slots, deadline)
        await self._settle(integration, parcels)
        for parcel in parcels:
            results.extend(parcel.results())
        return results

    def _parcel(
        self, integration: Integration, group: list[Delivery], granted: Granted, user: str
    ) -> Parcel:
        stamps, texts = granted.stored, granted.texts
        said = self._seals.said(user, stamps, texts) if texts else NOTHING_KNOWN.said
        parcel = Parcel(integration, group, user, granted.lease, Known(stamps, said))
        parcel.is_damaged = granted.is_damaged
        return parcel

    async def _settle(self, integration: Integration, parcels: list[Parcel]) -> None:
        """Give the users back, each with a gap."""
        after_success, after_failure = gaps_of(integration, self._attempt_seconds)
        accepted: list[Settlement] = []
        rest: list[Settlement] = []
        for one in parcels:
            is_accepted = after_success == after_failure or one.accepted().stamps
            settlement = one.settlement(self._unclear_ms, self._seals)
            (accepted if is_accepted else rest).append(settlement)
        await self._gate.settle(integration.id, accepted, after_success)
        await self._gate.settle(integration.id, rest, after_failure)

    async def _take_apart(
        self, integration: Integration, parcel: Parcel, slots: RequestSlots, deadline: float
    ) -> None:
        """A message of several events was refused: let each of them stand for itself.

        The newest goes first, so that an older one keeps only what no newer one has said: then no
        two of these messages, which follow without a gap, speak of the same attribute.
        """
        known = parcel.known
        for delivery in sorted(parcel.deliveries, key=lambda one: when(one.choice), reverse=True):
            part = Parcel(integration, [delivery], delivery.user, parcel.lease, known)
            if part.folded.is_sent:
                sendable = [part] if part.encode() else []
                await self._send(integration, sendable, slots, deadline)
            stamps, said = part.accepted()
            known = Known({**known.stamps, **stamps}, {**known.said, **said})
            parcel.parts.append(part)

    async def _existing(
        self,
        integration: Integration,
        parcels: list[Parcel],
        slots: RequestSlots,
        deadline: float,
    ) -> list[Parcel]:
        """Those whose contact Adobe knows; the others have their reply.

        All at once as far as there are slots, but after what has only to be sent: a round that is
        nearly done is not to wait for the many look-ups of those behind it.
        """

        async def look_up(parcel: Parcel) -> None:
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
        parcels: list[Parcel],
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


def _not_erased(group: list[Delivery], tombstone: Stamp) -> list[Delivery]:
    """Those of `group` that are of after the person's erasure."""
    return [one for one in group if one.choice.event_time_ms > tombstone.time_ms]


def _is_messages_fault(reply: object) -> bool:
    """Whether it is worth to find out which message, or which event of it, was refused."""
    return isinstance(reply, Crashed) or (isinstance(reply, Permanent) and reply.fault != "set-up")
