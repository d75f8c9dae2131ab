"""What is said of a receipt: a sentence for what happened, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from worker.code_kinds import Code, Kind
from worker.evidence.receipt import OutcomeName, Receipt
from worker.reasons import DeadReason, ErrorCode, ParkReason, SkipReason
from worker.remedies import OF_ERRORS, mend_for

_CODES: Final[Mapping[OutcomeName, Mapping[str, Code]]] = {
    "skipped": {str(one): one for one in SkipReason},
    "parked": {str(one): one for one in ParkReason},
    "retried": {str(one): one for one in ErrorCode},
    "dead": {str(one): one for one in DeadReason},
}
_WITHOUT_REASON: Final[Mapping[OutcomeName, str]] = {
    "received": "It came in by the door, and RabbitMQ has it.",
    "delivered": "Adobe has accepted it; what Adobe does with it then, only Adobe can tell.",
    "erased": "The person was erased, and what receipts told of them was blanked.",
}
_TO_DO: Final[Mapping[Kind, str]] = {
    Kind.NORMAL: "Nothing: this is as it should be.",
    Kind.TRANSIENT: "Nothing, if it passes; else look at the network and at Adobe's status page.",
    Kind.OVERLOAD: "Nothing, if it passes; else give the integration lower limits, or ask Adobe.",
    Kind.SET_UP: "Mend the set-up: `consent-worker integrations check`.",
    Kind.OPERATOR: "Nothing, if that is still what you want.",
    Kind.PERMANENT: "Mend the event or its mapping.",
    Kind.INTERNAL: "Report it with the log of that time.",
}
_TO_DO_PARKED: Final[Mapping[str, str]] = {
    ParkReason.BUSY: "Nothing: it comes back within seconds.",
    ParkReason.IN_DOUBT: "See whether a file is gone or can't be read: `consent-worker "
    "integrations validate`; and whether Redis is there, which the `/readyz` of a worker tells.",
    ParkReason.NOT_YET: "Nothing, if its time comes soon; else look at the clocks of its producer "
    "and of the workers.",
    ParkReason.STOPPING: "Nothing: it comes back within seconds, to a worker that runs.",
}
_DEAD: Final = " Then `consent-worker dead-letters replay`, or `discard`."
_OF_LETTERS: Final = re.compile("[Rr]eplay|[Dd]iscard")
BLANKED: Final = "A person's erasure has taken what stood here."


def code_of(receipt: Receipt) -> Code | None:
    """The code of a receipt's reason, None where it has none that this version knows."""
    return _CODES.get(receipt.outcome, {}).get(receipt.reason)


def sentence(receipt: Receipt) -> str:
    """What happened by a receipt, for operators."""
    return sentence_for(receipt.outcome, receipt.reason)


def sentence_for(outcome: OutcomeName, reason: str) -> str:
    """What happened by all receipts with an outcome and a reason, for operators."""
    code = _CODES.get(outcome, {}).get(reason)
    if code is not None:
        return code.sentence
    return _WITHOUT_REASON.get(outcome, "A reason that this version does not know.")


def to_do(receipt: Receipt, *, is_last: bool) -> str:
    """What a person should do about a receipt; nothing about what was overcome since."""
    if not is_last:
        return ""
    code = code_of(receipt)
    if code is None:
        return "" if receipt.outcome in _WITHOUT_REASON else "Upgrade this command."
    if receipt.outcome == "dead" and (remedy := mend_for(receipt.reason, receipt.error)):
        return remedy if _OF_LETTERS.search(remedy) else remedy + _DEAD
    if receipt.outcome == "parked" and (remedy := OF_ERRORS.get(receipt.error or "")):
        return remedy
    if receipt.outcome == "parked" and (act := _TO_DO_PARKED.get(receipt.reason)):
        return act
    return _TO_DO[code.kind] + (_DEAD if receipt.outcome == "dead" else "")
