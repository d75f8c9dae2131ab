"""What a reply of Adobe comes to: every one of them is one of these.

    Reply
     ├─ Accepted    the collection service took the message (validation at Adobe comes later)
     ├─ NoProfile   the look-up knows no such contact
     ├─ Retryable   the endpoint's, the network's or the credentials' fault: someone may mend it
     └─ Permanent   the message's own fault: no repetition will help

`collection_replies`, `lookup_replies` and `token_replies` classify what the three endpoints say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from worker.adobe.refusal_texts import Fault
from worker.reasons import ErrorCode


class Accepted(NamedTuple):
    """`xaction_id` is Adobe's id of the transaction, by which its support traces a message; None
    where what came as one has no documented shape, and so may be anything.
    """

    xaction_id: str | None


@dataclass(frozen=True, slots=True)
class NoProfile:
    """No contact has this identity."""


@dataclass(frozen=True, slots=True)
class Retryable:
    """`detail` is ours to show, see `harmless_text`; `retry_after_seconds` is what the endpoint
    asked for, None when it said nothing. `is_unclear`: nobody can tell from it whether Adobe has
    carried the request out, or still will.
    """

    error: ErrorCode
    detail: str
    http_status: int | None = None
    retry_after_seconds: float | None = None
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class Permanent:
    """`fault` is whose fault the refusal is, by Adobe's words."""

    error: ErrorCode
    detail: str
    http_status: int | None = None
    fault: Fault = "message"


Reply = Accepted | NoProfile | Retryable | Permanent
