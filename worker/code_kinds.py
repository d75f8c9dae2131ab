"""What a stable code is: a text with a kind and a sentence for operators."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Kind(StrEnum):
    """Whose matter a stable code is, and so who can mend it."""

    NORMAL = "normal"
    """Nothing went wrong."""
    TRANSIENT = "transient"
    """It passes by itself, or an endpoint or a network has to be mended."""
    OVERLOAD = "overload"
    """Somebody is slower than events come, or away."""
    SET_UP = "set-up"
    """A person must mend the configuration, here or at Adobe."""
    OPERATOR = "operator"
    """An operator has asked for it."""
    PERMANENT = "permanent"
    """The event's own fault: no repetition will help."""
    INTERNAL = "internal"
    """A fault of the worker's own, or of its broker."""


class Code(StrEnum):
    """A stable code; `sentence` is for operators and names no event's values."""

    kind: Kind
    sentence: str

    def __new__(cls, code: str, kind: Kind, sentence: str) -> Self:
        one = str.__new__(cls, code)
        one._value_ = code
        one.kind = kind
        one.sentence = sentence
        return one
