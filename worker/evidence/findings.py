"""What the verification of the stream may find, each with a code and a sentence for operators."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self


class FindingCode(StrEnum):
    """A finding's code; `is_manipulation`: no crash, lost connection or retention explains it."""

    sentence: str
    is_manipulation: bool

    def __new__(cls, code: str, is_manipulation: bool, sentence: str) -> Self:
        one = str.__new__(cls, code)
        one._value_ = code
        one.is_manipulation = is_manipulation
        one.sentence = sentence
        return one

    CHANGED = "changed", True, "Its rows are not those that its heading was made for."
    RELINKED = (
        "relinked",
        True,
        "The message before it is another than the one it points to: one of the two was changed.",
    )
    FORGED = "forged", True, "It names one of the secrets, and was not signed with it."
    FOREIGN = (
        "foreign",
        True,
        "It is signed with none of the secrets given, though messages before it are.",
    )
    INSERTED = "inserted", True, "There is another message with its place in the chain."
    REMOVED = "removed", True, "Messages before it in its chain are not there."
    REORDERED = "reordered", True, "It stands behind messages that were written after it."
    CUT = "cut", True, "An anchor has seen a message of this chain that is not there any more."
    REPLACED = "replaced", True, "An anchor has seen another message at this place of the chain."
    HEADLESS = (
        "headless",
        True,
        "The beginning of its chain is not there, though it is not older than the stream.",
    )
    AFTER_END = "after-end", True, "It stands behind the end of its chain."
    ENDED_WITHOUT_END = (
        "ended-without-end",
        False,
        "The chain stops without an end: its worker was killed, or can't write any more.",
    )
    LOST = (
        "lost",
        False,
        "Its file says that messages before it fell with the stream's retention before the ledger "
        "read them.",
    )
    UNREADABLE = "unreadable", False, "No message of a kind and version that is known here."


class Finding(NamedTuple):
    """What was found wrong with a chain. `chain` is "" and `sequence` -1 where a message does not
    tell them. `offset` is the message's place in the stream, -1 for a finding about none in it.
    """

    code: FindingCode
    chain: str
    sequence: int
    offset: int
    worker: str
    detail: str = ""
