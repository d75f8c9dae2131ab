"""What Adobe has of a person whom the state does not know, before a whole record replaces it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from worker.adobe.replies import Reply, Retryable
from worker.delivery.rounds.last_look import may_be_sent
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Untried
from worker.delivery.rounds.store_gate import StoreGate
from worker.delivery.rounds.user_message import UserMessage
from worker.delivery.rounds.whole_record import paths_without_value
from worker.integrations.model import Integration
from worker.ordering.snapshot_fold import Known
from worker.ordering.stamp import Said, Stamp, is_path
from worker.ordering.store_protocol import StoreUnavailable
from worker.reasons import ErrorCode
from worker.transform.decision_types import Identity
from worker.transform.mapping_plan import plan_of

_OF_OLD: Final = Stamp(0, 0, False, "found")
"""Nobody knows when it was chosen, so whatever an event says is newer."""
_NOT_KNOWN: Final = (
    "the state does not know what was sent for this person, so that a whole record would erase it, "
    "and there is no identity namespace to look it up by: give {where}.namespace, or after a loss "
    "of the state accept that with `consent-worker state accept --may-erase`"
)

_OTHERS_NOT_KNOWN: Final = (
    "the state has lost what other Didomi users (devices) of this person said, and a snapshot "
    "tells of one of them alone, so that it would erase what the others said: accept that with "
    "`consent-worker state accept --may-erase`"
)


_DAMAGED: Final = (
    "what the state has of this person can't be read, so that a whole record might erase it, and "
    "can't be looked up: the digest is in the log, ordering.unreadable_value; delete that entry of "
    "the state, which accepts it, and replay"
)


class Records(Protocol):
    """Tells what Adobe has of a person; never raises for what Adobe or the network does."""

    async def look_up_record(
        self, integration: Integration, identity: Identity, paths: Sequence[str]
    ) -> Mapping[str, Any] | Reply: ...


class Completion:
    """Completes whole records by what Adobe has; `records` are asked where it is needed."""

    def __init__(self, records: Records, gate: StoreGate) -> None:
        self._records = records
        self._gate = gate

    async def complete(
        self,
        integration: Integration,
        messages: Sequence[UserMessage],
        slots: RequestSlots,
        deadline: float,
    ) -> list[UserMessage]:
        """The same messages, with what was found of their persons; those of which nothing can be
        found out have a reply.
        """
        needs = {id(one): _need(integration, one) for one in messages if one.folded.is_sent}
        has_lost: bool | None = None
        if "after a loss" in needs.values():
            has_lost = await self._has_lost(integration.state_id)

        async def one(message: UserMessage) -> UserMessage:
            need = needs.get(id(message), "none")
            if need == "after a loss" and has_lost is None:
                message.reply = Untried()
            elif need == "always" or (need == "after a loss" and has_lost):
                return await self._looked_up(integration, message, slots, deadline)
            return message

        return list(await asyncio.gather(*(one(message) for message in messages)))

    @staticmethod
    def refuses(integration: Integration, part: UserMessage) -> bool:
        """Whether a part of a message would erase what nobody can read, and has its reply: what was
        said by all of the message, a part of it may leave out.
        """
        keeps_what_is_left_out = not integration.replaces_record or integration.completes
        if keeps_what_is_left_out or not _has_others_unreadable(integration, part):
            return False
        part.reply = Retryable(ErrorCode.STATE_UNREADABLE, _DAMAGED)
        return True

    async def _has_lost(self, state_id: str) -> bool | None:
        """Asked of the store now, since the watch would notice it only in a moment; None while that
        is away, or its part with the state of this integration.
        """
        epochs, store = self._gate.epochs, self._gate.store
        try:
            await epochs.look()
        except StoreUnavailable:
            return None
        if epochs.problem:
            return True
        return False if epochs.is_sure_of(store.part_of(state_id)) else None

    async def _looked_up(
        self, integration: Integration, message: UserMessage, slots: RequestSlots, deadline: float
    ) -> UserMessage:
        is_unreadable = message.is_damaged or _has_others_unreadable(integration, message)
        if is_unreadable and not (integration.completes and integration.may_look_up):
            message.reply = Retryable(ErrorCode.STATE_UNREADABLE, _DAMAGED)
            return message
        if not integration.completes:
            # What is found tells not of whom it is, so that nobody could take it back any more.
            message.reply = Retryable(ErrorCode.STATE_LOST, _OTHERS_NOT_KNOWN)
            return message
        if not integration.may_look_up:
            where = f"identities.{integration.properties.user_identifier[0]}"
            message.reply = Retryable(ErrorCode.STATE_LOST, _NOT_KNOWN.format(where=where))
            return message
        delivery = message.deliveries[0]
        paths = sorted(_paths(integration))
        try:
            async with (
                asyncio.timeout(deadline - time.monotonic()),
                slots.one(first=delivery.is_suspect),
            ):
                if not may_be_sent([message]):
                    raise TimeoutError
                message.mark_sent()
                identity = delivery.choice.identity
                found = await self._records.look_up_record(integration, identity, paths)
        except TimeoutError:
            message.reply = message.late()
            return message
        if not isinstance(found, Mapping):
            message.reply = found
            return message
        return message.completed(_as_known(integration, message.known, found))


def _need(
    integration: Integration, message: UserMessage
) -> Literal["always", "after a loss", "none"]:
    """When a person has to be looked up of whom so much is known."""
    known = message.known
    if message.is_damaged:
        return "always"
    if not integration.completes:
        if _has_others_unreadable(integration, message):
            return "always"
        # A snapshot that said nothing stands, too, and tells nothing of what others have said.
        is_known = any(is_path(name) for name in known.stamps)
        return "none" if is_known else "after a loss"
    if paths_without_value(integration, known):
        return "always"
    if any(is_path(name) for name in known.stamps):
        return "none"
    return "after a loss" if integration.dataset_starts_empty else "always"


def _has_others_unreadable(integration: Integration, message: UserMessage) -> bool:
    """Whether something mapped stands of the person that the message does not say, and that nobody
    can read. What the snapshot's own Didomi user had said, the message says, or takes back.
    """
    said, by_target = message.known.said, plan_of(integration).by_target
    return any(
        one.is_unreadable
        and not one.is_taken_back
        and path in by_target
        and path not in message.folded.attributes
        for path, one in said.items()
    )


def _paths(integration: Integration) -> set[str]:
    return {path for mapping in integration.mappings for path in mapping.targets}


def _as_known(integration: Integration, known: Known, found: Mapping[str, Any]) -> Known:
    """What was found, for all paths of which the state knows no value. A path that is known to have
    none at Adobe counts as told.
    """
    by_target = plan_of(integration).by_target
    lacking = paths_without_value(integration, known)
    times = {one.id: one.time_path for one in integration.mappings}
    stamps: dict[str, Stamp] = {}
    said: dict[str, Said] = {}
    for path in by_target:
        if path in known.stamps and path not in lacking:
            continue
        value = found.get(path)
        if value is None and path not in lacking:
            continue
        stamps[path] = known.stamps.get(path, _OF_OLD)
        when = found.get(times.get(path) or "")
        said[path] = Said(source=[None, [value, when], False])
    return Known(stamps, said)
