"""Whether a message is the next one of its chain, and what is wrong with it otherwise. Pure.

The verification of a stream (`worker.evidence.verification`) remembers what it saw; the ledger has
it in its tables, and judges one message by the head of its chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from worker.evidence.findings import FindingCode
from worker.evidence.heading import (
    NO_DIGEST,
    Heading,
    Message,
    row_digest,
    rows_digest,
    unsigned,
)
from worker.evidence.signing import Keyring


class ChainHead(NamedTuple):
    """How far a chain was read: its last number, that heading's digest, whether it has ended."""

    sequence: int
    digest: str
    has_ended: bool


class Judgement(NamedTuple):
    """The judgement on a message of a chain: `takes` says whether the message counts, `findings`
    what is wrong and how many messages that concerns. `is_passed`: the number was passed already,
    and `judge_passed` decides.
    """

    takes: bool
    findings: Sequence[tuple[FindingCode, int]] = ()
    is_passed: bool = False


def signature_fault(message: Message, keyring: Keyring) -> FindingCode | None:
    """What is wrong with the signature of a message. Without a secret nothing is, and with one
    nothing else counts: what is foreign is passed over.
    """
    heading = message.heading
    if not keyring:
        return None
    if not keyring.knows(heading.key):
        return FindingCode.FOREIGN
    if not keyring.is_right(heading.key, unsigned(message.line), heading.mac):
        return FindingCode.FORGED
    return None


def has_its_rows(message: Message) -> bool:
    """Whether the rows of a message are those that its heading was made for."""
    heading = message.heading
    if heading.rows != len(message.rows):
        return False
    return rows_digest([row_digest(row) for row in message.rows]) == heading.digest


def judge(head: ChainHead | None, heading: Heading) -> Judgement:
    """What a message with a right signature is to its chain. A chain may begin with any number: its
    beginning may be older than the stream.
    """
    if head is None:
        is_relinked = heading.sequence == 0 and heading.previous != NO_DIGEST
        return Judgement(True, [(FindingCode.RELINKED, 1)] if is_relinked else [])
    if heading.sequence <= head.sequence:
        return Judgement(False, is_passed=True)
    findings: list[tuple[FindingCode, int]] = []
    missing = heading.sequence - head.sequence - 1
    if missing:
        findings.append((FindingCode.REMOVED, missing))
    elif heading.previous != head.digest:
        findings.append((FindingCode.RELINKED, 1))
    if head.has_ended:
        findings.append((FindingCode.AFTER_END, 1))
    return Judgement(True, findings)


def judge_passed(earlier_line: bytes | None, line: bytes) -> Judgement:
    """What a message is to its chain whose number was passed: a harmless repetition, one that came
    late, or another one with the same number. `earlier_line` is the heading that has the number, if
    any.
    """
    if earlier_line is None:
        return Judgement(True, [(FindingCode.REORDERED, 1)])
    if earlier_line == line:
        return Judgement(False)
    return Judgement(False, [(FindingCode.INSERTED, 1)])
