"""Faults of our own once something was sent: each concerns the person alone whose message it is,
since what Adobe has accepted of the others is to be remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec

import structlog

from worker.adobe.replies import Accepted
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.round_results import Crashed, Result
from worker.delivery.rounds.user_message import UserMessage
from worker.integrations.model import Integration
from worker.ordering.sealed_values import Seals
from worker.ordering.snapshot_fold import BEFORE_ALL, Known
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import UNCLEAR, Settlement
from worker.ordering.unclear_requests import Moment, mark_of

log = structlog.get_logger(__name__)

_UNKNOWN: Final = Crashed("unknown")
_P = ParamSpec("_P")


def contain(
    integration: Integration, act: Callable[_P, object], *args: _P.args, **named: _P.kwargs
) -> None:
    """Do what concerns no single event of a round: a fault in it is told, and keeps no event from
    its end.
    """
    try:
        act(*args, **named)
    except Exception:
        log.exception("lane.unexpected_error", integration=integration.id)


def crashed(integration: Integration, error: Exception) -> Crashed:
    """What a fault of ours makes of deliveries in a round; the log has it."""
    name = type(error).__name__
    log.exception("message.unexpected_error", integration=integration.id, error=name)
    return Crashed(name)


def accepted_of(message: UserMessage) -> Known:
    """What stands of a user now that did not before the message, see `UserMessage.accepted`. Where
    that meets a fault, the stamps of what was accepted or had only to be remembered: what was said
    counts as unknown.
    """
    try:
        return message.accepted()
    except Exception as error:
        crashed(message.integration, error)
    stamps: dict[str, Stamp] = {}
    for one in message.parts or (message,):
        if isinstance(one.reply, Accepted) or not one.folded.is_sent:
            stamps |= one.folded.written
    return Known(stamps, {})


def settlement_of(
    message: UserMessage, accepted: Known, unclear_ms: int, seals: Seals
) -> Settlement:
    """The end of a user's lease, see `UserMessage.settlement`. Where a fault prevents it, the
    stamps of what Adobe accepted stand alone: what was said counts as unknown, and is looked up if
    need be. What Adobe may still carry out is marked all the same.
    """
    try:
        return message.settlement(accepted, unclear_ms, seals)
    except Exception as error:
        crashed(message.integration, error)
        stamps = {**accepted.stamps, **_mark_despite(message, unclear_ms)}
        lasts = message.integration.keeps_more
        texts: dict[str, str] | None = {} if lasts else None
        return Settlement(message.user, message.lease, stamps, message.was_sent, texts, lasts)


def _mark_despite(message: UserMessage, unclear_ms: int) -> dict[str, Stamp]:
    if not (message.is_unclear or message.parts):
        return {}
    try:
        unclear = message.unclear()
    except Exception as error:
        crashed(message.integration, error)
        unclear = [Moment(BEFORE_ALL.time_ms, "")]  # all that comes meanwhile counts as newer
    if not unclear:
        return {}
    is_whole = message.integration.replaces_record
    before = message.known.stamps.get(UNCLEAR)
    return {UNCLEAR: mark_of(unclear, unclear_ms, before, is_whole=is_whole)}


def stopped(message: UserMessage, error: Exception) -> None:
    """`message` was being taken apart when a fault came: of the parts without a reply, Adobe may
    get those that were sent.
    """
    message.reply = fault = crashed(message.integration, error)
    for part in message.parts:
        if part.reply is None:
            part.reply = fault
            part.is_unclear |= part.was_sent


def results_of(message: UserMessage) -> list[tuple[Delivery, Result]]:
    """What became of each delivery of a message, also of those of which that can't tell it."""
    try:
        results = message.results()
    except Exception as error:
        results, fault = [], crashed(message.integration, error)
    else:
        if len(results) == len(message.deliveries):  # as nearly always
            return results
        fault = message.reply if isinstance(message.reply, Crashed) else _UNKNOWN
    told = [one for one, _ in results]
    return results + [(one, fault) for one in message.deliveries if one not in told]
