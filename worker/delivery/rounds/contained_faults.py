"""Faults of our own once something was sent: each concerns the person alone whose message it is,
since what Adobe has accepted of the others is to be remembered.
"""

from __future__ import annotations

from typing import Final

import structlog

from worker.delivery.delivery import Delivery
from worker.delivery.rounds.round_results import Crashed, Result
from worker.delivery.rounds.user_message import UserMessage
from worker.integrations.model import Integration
from worker.ordering.sealed_values import Seals
from worker.ordering.snapshot_fold import Known
from worker.ordering.store_protocol import Settlement

log = structlog.get_logger(__name__)

_UNKNOWN: Final = Crashed("unknown")


def crashed(integration: Integration, error: Exception) -> Crashed:
    """What a fault makes of deliveries; the log has it."""
    name = type(error).__name__
    log.exception("message.unexpected_error", integration=integration.id, error=name)
    return Crashed(name)


def settlement_of(
    message: UserMessage, accepted: Known, unclear_ms: int, seals: Seals
) -> Settlement:
    """The end of the lease, see `UserMessage.settlement`. Where a fault prevents it, the stamps of
    what Adobe accepted stand alone: what was said counts as unknown, and is looked up if need be.
    """
    try:
        return message.settlement(accepted, unclear_ms, seals)
    except Exception as error:
        crashed(message.integration, error)
        lasts = message.integration.keeps_more
        texts: dict[str, str] | None = {} if lasts else None
        return Settlement(
            message.user, message.lease, accepted.stamps, message.was_sent, texts, lasts
        )


def results_of(message: UserMessage) -> list[tuple[Delivery, Result]]:
    """What became of each delivery, also of those of which the message can't tell it."""
    results: list[tuple[Delivery, Result]] = []
    fault = message.reply if isinstance(message.reply, Crashed) else _UNKNOWN
    try:
        results = message.results()
    except Exception as error:
        fault = crashed(message.integration, error)
    if len(results) < len(message.deliveries):
        told = [one for one, _ in results]
        results += [(one, fault) for one in message.deliveries if one not in told]
    return results
