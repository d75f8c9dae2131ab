"""What a reply of Adobe comes to: every one of them is one of these; and whose fault a refusal is,
by Adobe's texts. Pure.

The texts: Adobe's pages "Streaming multiple messages" (unknown xdm format; absent or wrong ims org)
and the tests of its own Kafka sink, experience-platform-streaming-connect (the 'header' field). The
texts of a schema, a dataset, a flow and an inlet are in no page of Adobe's: they are guessed.

    Reply      ├─ Accepted    the collection service took the message (validation at Adobe comes
later)      ├─ NoProfile   the look-up knows no such contact      ├─ Retryable   the endpoint's, the
network's or the credentials' fault: someone may mend it      └─ Permanent   the message's own
fault: no repetition will help

`collection_replies`, `profile_lookup` and `token_replies` classify what the three endpoints say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from worker.reasons import ErrorCode

Fault = Literal["message", "set-up", "ambiguous", "form"]
"""`ambiguous`: Adobe says the same of a wrong message and of a wrong set-up. `form`: the same,
and a message in the form that the other kind of inlet takes is one of the causes."""

_TEXT_CHARACTERS: Final = 4000
_TEXTS: Final[tuple[tuple[str, Fault], ...]] = (
    ("absent or wrong ims org", "set-up"),
    ("wrong ims org", "set-up"),
    # Guessed, so not believed once a message was accepted, and a batch is taken apart for them.
    ("wrong schema", "ambiguous"),
    ("wrong dataset", "ambiguous"),
    ("schema not found", "ambiguous"),
    ("dataset not found", "ambiguous"),
    ("schema does not exist", "ambiguous"),
    ("dataset does not exist", "ambiguous"),
    ("invalid schema reference", "ambiguous"),
    ("invalid dataset", "ambiguous"),
    ("flow not found", "ambiguous"),
    ("invalid flow", "ambiguous"),
    ("inlet not found", "ambiguous"),
    # Of a message without a body and of a dataflow of the other kind alike.
    ("unknown xdm format", "form"),
    ("the 'header' field is mandatory", "ambiguous"),
)


def fault_of(text: str) -> Fault:
    """Whose fault a refusal with this text is: the message's unless the text is a known one."""
    said = text[:_TEXT_CHARACTERS].casefold()
    return next((fault for known, fault in _TEXTS if known in said), "message")


class Accepted(NamedTuple):
    """Adobe took the message. `xaction_id` is Adobe's id of the transaction, by which its support
    traces a message; None where what came as one has no documented shape, and so may be anything.
    `http_status` is that of the message, or that of the whole reply where Adobe gave the message
    none.
    """

    xaction_id: str | None
    http_status: int = 200


@dataclass(frozen=True, slots=True)
class NoProfile:
    """No contact has this identity."""


@dataclass(frozen=True, slots=True)
class Retryable:
    """A failure that somebody may mend. `detail` is ours to show, see `harmless_text`;
    `retry_after_seconds` is what the endpoint asked for, None when it said nothing. `is_unclear`:
    nobody can tell from it whether Adobe has carried the request out, or still will.
    """

    error: ErrorCode
    detail: str
    http_status: int | None = None
    retry_after_seconds: float | None = None
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class Permanent:
    """A refusal that no repetition helps; `fault` is whose fault it is, by Adobe's words."""

    error: ErrorCode
    detail: str
    http_status: int | None = None
    fault: Fault = "message"


Reply = Accepted | NoProfile | Retryable | Permanent
