"""One round for an integration: what is still news, is it wanted, send it, remember it.

    begin (lease, stamps) ─► fold ─► look-up, if wanted ─► send, take apart if refused ─► settle

The waiting events of one user are folded into one `UserMessage`. Each event keeps an outcome of its
own: by the fold's verdict on it and the fate of its message.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from worker.adobe.attempt_deadline import watched
from worker.adobe.replies import Accepted, NoProfile, Permanent, Retryable
from worker.adobe.streaming import MAX_REQUEST_BYTES, OutgoingMessage
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.completion_lookup import Completion
from worker.delivery.rounds.contained_faults import (
    accepted_of,
    crashed,
    results_of,
    settlement_of,
    stopped,
)
from worker.delivery.rounds.gap_lengths import gaps_of
from worker.delivery.rounds.last_look import may_be_sent
from worker.delivery.rounds.repeat_plan import plan_repeats_of_parts
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_lease import RoundLease
from worker.delivery.rounds.round_results import Busy, Erased, Result, Untried, is_messages_fault
from worker.delivery.rounds.sender_protocol import Sender
from worker.delivery.rounds.store_gate import StoreGate, claims_of
from worker.delivery.rounds.user_message import TOO_LARGE, UserMessage
from worker.fast_tuples import new_tuple
from worker.integrations.model import Integration
from worker.ordering.newest_fold import is_after, when
from worker.ordering.sealed_values import Seals
from worker.ordering.snapshot_fold import Known
from worker.ordering.store_protocol import ERASED, Contended, Granted, Settlement
from worker.transform.decision_types import NOTHING

_FRAME_BYTES: Final = 2
_LIST_BYTES: Final = 16
"""Of a request: around each message, and around all of them."""

Replies = list[Accepted | Retryable | Permanent] | Retryable | Permanent


class RoundParts(Protocol):
    """What the rounds of all integrations share; see `AdobeRounds`."""

    sender: Sender
    gate: StoreGate
    completion: Completion
    attempt_seconds: float
    unclear_ms: int
    seals: Seals
    clock: Callable[[], float]


class Round:
    """One round of an integration, whose time runs from now; each request has one of `slots`."""

    def __init__(self, parts: RoundParts, integration: Integration, slots: RequestSlots) -> None:
        self._parts = parts
        self._integration = integration
        self._slots = slots
        # From before the store is asked: the lease runs since then, however late its answer is.
        self._deadline = time.monotonic() + parts.attempt_seconds
        seconds, is_whole = parts.gate.store.timing.lease_seconds, integration.replaces_record
        self._lease = RoundLease(seconds, parts.clock, is_whole=is_whole)

    async def deliver(self, groups: Sequence[list[Delivery]]) -> list[tuple[Delivery, Result]]:
        """A round's result for each delivery. Raises `StoreUnavailable`, and then nothing was sent.
        Once something was, a fault of ours concerns the person alone whose message it is: what
        Adobe has accepted of others is to be remembered.
        """
        integration, gate = self._integration, self._parts.gate
        claims = claims_of(integration, groups)
        answers = await gate.store.begin(integration.state_id, claims)
        results: list[tuple[Delivery, Result]] = []
        messages: list[UserMessage] = []
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, Contended):
                busy = Busy(answer.wait_seconds, answer.is_held)
                results.extend((one, busy) for one in group)
                continue
            left = group
            if ERASED in answer.stored:
                erased = answer.stored[ERASED]
                left = [one for one in group if is_after(one.choice, erased)]
                results.extend((one, Erased()) for one in group if one not in left)
            messages.append(self._message(left, answer, group[0].user))
        if integration.replaces_record:
            messages = await self._parts.completion.complete(
                integration, messages, self._slots, self._deadline
            )
        wanted = [one for one in messages if one.folded.is_sent and one.reply is None]
        if integration.needs_lookup:
            wanted = await self._existing(wanted)
        await self._send([one for one in wanted if one.encode()])
        for message in wanted:
            if len(message.deliveries) > 1 and is_messages_fault(message.reply):
                try:
                    await self._take_apart(message)
                except Exception as error:
                    stopped(message, error)
        await self._settle(messages)
        self._lease.tell(messages)
        for message in messages:
            results.extend(results_of(message))
        return results

    def _message(self, group: list[Delivery], granted: Granted, user: str) -> UserMessage:
        lease, stamps, texts, is_damaged = granted
        said = self._parts.seals.said(user, stamps, texts) if texts else NOTHING
        known = new_tuple(Known, (stamps, said))
        message = UserMessage(self._integration, group, user, lease, known)
        message.is_damaged = is_damaged
        return message

    async def _settle(self, messages: list[UserMessage]) -> None:
        """Give the users back, each with a gap."""
        after_success, after_failure = gaps_of(self._integration, self._parts.attempt_seconds)
        accepted: list[Settlement] = []
        rest: list[Settlement] = []
        keeps_stamps = not self._integration.keeps_more
        for one in messages:
            settlement = one.plain_settlement() if keeps_stamps else None
            if settlement is not None:
                stamps = settlement.written
            else:
                stands = accepted_of(one)
                stamps = stands.stamps
                settlement = settlement_of(one, stands, self._parts.unclear_ms, self._parts.seals)
            is_news = stamps and not isinstance(one.reply, NoProfile)
            is_accepted = after_success == after_failure or is_news
            (accepted if is_accepted else rest).append(settlement)
        for some, gap in ((accepted, after_success), (rest, after_failure)):
            await self._parts.gate.settle(self._integration.state_id, some, gap, self._lease)

    async def _take_apart(self, message: UserMessage) -> None:
        """A message of several events was refused: let each of them stand for itself.

        The newest goes first, so that an older one keeps only what no newer one has said: then no
        two of these messages, which follow without a gap, speak of the same attribute. Whole
        records do; so what follows an accepted one waits for the next round, behind the gap.
        """
        known, waits = message.known, False
        for delivery in sorted(message.deliveries, key=lambda one: when(one.choice), reverse=True):
            part = UserMessage(self._integration, [delivery], delivery.user, message.lease, known)
            message.parts += (part,)
            if part.folded.is_sent and waits and self._integration.replaces_record:
                part.reply = part.late() if delivery.is_handed_over else Untried()
            elif part.folded.is_sent:
                is_refused = self._parts.completion.refuses(self._integration, part)
                await self._send([part] if not is_refused and part.encode() else [])
            stamps, said = accepted_of(part)
            known = Known({**known.stamps, **stamps}, {**known.said, **said})
            waits |= isinstance(part.reply, Accepted)
        parts = [
            (one.deliveries, one.unclear(), isinstance(one.reply, Accepted))
            for one in message.parts
        ]
        replaces = self._integration.replaces_record
        plan_repeats_of_parts(parts, self._parts.unclear_ms, replaces=replaces)

    async def _existing(self, messages: list[UserMessage]) -> list[UserMessage]:
        """Those whose contact Adobe knows; the others have their reply.

        All at once as far as there are slots, but after what has only to be sent: a round that is
        nearly done is not to wait for the many look-ups of those behind it.
        """

        async def look_up(message: UserMessage) -> None:
            delivery = message.deliveries[0]
            try:
                async with (
                    asyncio.timeout(self._deadline - time.monotonic()),
                    self._slots.one(first=delivery.is_suspect),
                ):
                    if not may_be_sent([message]):
                        raise TimeoutError
                    message.mark_sent()
                    identity = delivery.choice.identity
                    message.reply = await self._parts.sender.look_up(self._integration, identity)
            except TimeoutError:
                message.reply = message.late()

        await asyncio.gather(*(look_up(message) for message in messages))
        return [message for message in messages if message.reply is None]

    async def _send(self, messages: list[UserMessage]) -> None:
        """Send in one request; what is refused as a whole, in halves, until the bad one is alone.

        One request after the other, so that a lane never has more in flight than its window.
        """
        if not messages:
            return
        size = sum(len(one.body) + _FRAME_BYTES for one in _bodies(messages)) + _LIST_BYTES
        replies: Replies | None = TOO_LARGE
        if len(messages) == 1 or size <= MAX_REQUEST_BYTES:
            replies = await self._request(messages)
            if replies is None:
                return
        if len(messages) > 1 and is_messages_fault(replies):
            middle = len(messages) // 2
            await self._send(messages[:middle])
            await self._send(messages[middle:])
            return
        each = replies if isinstance(replies, list) else [replies] * len(messages)
        for message, reply in zip(messages, each, strict=True):
            message.reply = reply
            message.is_unclear |= isinstance(reply, Retryable) and reply.is_unclear

    async def _request(self, messages: list[UserMessage]) -> Replies | None:
        """The replies, None where none came in time, which the messages have been told. What is not
        sent any more is taken out of `messages`.
        """
        timeout = asyncio.timeout(self._deadline - time.monotonic())
        with watched() as writing:
            try:
                async with timeout, self._slots.one(first=True):
                    if not may_be_sent(messages):
                        raise TimeoutError
                    for message in messages:
                        message.mark_sent()
                    replies = await self._parts.sender.send(self._integration, _bodies(messages))
            except TimeoutError:
                for message in messages:
                    message.reply = message.late()
                    message.is_unclear |= writing.awaits_answer or writing.was_repeated
                return None
            except Exception as error:
                fault = crashed(self._integration, error)
                for message in messages:
                    message.reply = fault
                    message.is_unclear |= writing.awaits_answer or writing.was_repeated
                return None
        if writing.was_repeated:  # the first one may be carried out yet, whatever the second did
            for message in messages:
                message.is_unclear = True
        return replies


def _bodies(messages: Sequence[UserMessage]) -> list[OutgoingMessage]:
    return [one.outgoing for one in messages if one.outgoing is not None]
