"""Adobe's texts that say whose fault a refusal is. Pure.

The texts: Adobe's pages "Streaming multiple messages" (unknown xdm format; absent or wrong ims org)
and the tests of its own Kafka sink, experience-platform-streaming-connect (the 'header' field). The
texts of a schema, a dataset, a flow and an inlet are in no page of Adobe's: they are guessed.
"""

from __future__ import annotations

from typing import Final, Literal

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
