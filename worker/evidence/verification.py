"""Verifies the chains of a stream, message by message in its order. Pure.

What it can find: a message or a row that was changed, removed, inserted or moved; a chain that was
cut, as far as an anchor has seen more of it. What is no manipulation: a message that is there twice
(a confirm was lost), a beginning that is older than the stream, a process that was killed. What it
can't find: anything done by who holds the secret, or, in chains without one, by who wrote all that
follows anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from worker.evidence.anchors import Head, read_head
from worker.evidence.bounded_json import Unreadable
from worker.evidence.findings import Finding, FindingCode
from worker.evidence.heading import (
    Heading,
    line_digest,
    read_message,
    row_digest,
    rows_digest,
    unsigned,
)
from worker.evidence.lost_messages import Lost
from worker.evidence.seen_chain import SeenChain, SeenPlaces
from worker.evidence.signing import Keyring
from worker.evidence.stream_age import StreamAge

SILENT_MS: Final = 60_000
"""A process writes its state every few seconds, so one that has not for so long has ended."""
MOST_CHAINS: Final = 100_000
MOST_UNCHECKED_CHAINS: Final = 10_000
"""With a secret, of those without a signature that could be checked: they take no room from the
others."""
MOST_FINDINGS: Final = 10_000
"""Of manipulations, and of all else. Anybody who may publish to the stream can fill it, so all that
is kept is bounded."""


class Verification:
    """Verifies the chains of a stream: give it every message by `see`, then ask for `conclude`.
    `keyring` has the secrets; without any, signatures are not looked at.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._chains: dict[str, SeenChain] = {}
        self._places = SeenPlaces()
        self._missing: dict[str, tuple[Head, int]] = {}
        """Chains that an anchor has seen, and nobody else: the latest head, and its offset."""
        self._age = StreamAge()
        self._has_signed = self._has_unplaced = False
        self._unchecked_chains = 0
        self._manipulations: list[Finding] = []
        self._others: list[Finding] = []
        self.messages = self.rows = self.unreadable = self.unsigned = self.unchecked = 0
        """`unsigned` messages have no signature, `unchecked` ones none that could be checked."""
        self.more_findings = self.unplaced = 0
        """Findings, and messages of chains, beyond the bounds."""

    @property
    def chains(self) -> int:
        """How many chains are kept account of."""
        return len(self._chains)

    def see(self, offset: int, body: bytes) -> None:
        """Take the message at `offset` of the stream, which is greater than the one before."""
        self._age.begin_at(offset)
        try:
            message = read_message(body)
        except Unreadable as error:
            self.messages += 1
            self.unreadable += 1
            self._tell(Finding(FindingCode.UNREADABLE, "", -1, offset, "", str(error)))
            return
        digests = [row_digest(row) for row in message.rows]
        is_right = self.take(offset, message.heading, message.line, digests)
        if is_right and message.heading.kind == "anchor" and self._counts(message.heading):
            self._hold_against(message.rows, offset, message.heading)

    def take(
        self,
        offset: int,
        heading: Heading,
        line: bytes,
        digests: Sequence[bytes] | None,
        lost: Lost | None = None,
    ) -> bool:
        """Take a message as `see` does, where only the digests of its rows are known, or not even
        these (None); whether the message is as it was written, as far as it tells by itself.
        `lost` is what its file says of the gap before it.
        """
        self.messages += 1
        self.rows += 0 if digests is None else len(digests)
        self._age.begin_at(offset)
        fault = self._fault_of(heading, line, digests)
        if fault is not None:
            self._tell(_about(fault, heading, offset))
            if fault is not FindingCode.CHANGED:
                return False  # not the chain's own: it says nothing of the others' places
        self._place(offset, heading, line_digest(line), self._lost_after(lost, heading, line))
        return fault is None

    def conclude(self, now_ms: int) -> list[Finding]:
        """All findings, at `now_ms` (ms since 1970), in the order of chains and places."""
        endings = []
        for chain, seen in self._chains.items():
            last = seen.last
            if seen.first_sequence and not self._age.may_be_older(seen.first_at):
                place = seen.first_sequence, seen.first_offset
                endings.append(Finding(FindingCode.HEADLESS, chain, *place, last.worker))
            endings += [
                _about(FindingCode.REMOVED, last, -1, _numbers(gap))._replace(sequence=gap.stop)
                for gap in seen.gaps
            ]
            if not seen.has_ended and now_ms - last.at > SILENT_MS:
                endings.append(
                    Finding(FindingCode.ENDED_WITHOUT_END, chain, last.sequence, -1, last.worker)
                )
        if not self._has_unplaced:
            endings += [
                Finding(FindingCode.CUT, chain, head.sequence, offset, "")
                for chain, (head, offset) in self._missing.items()
                if not self._age.may_be_older(head.at)
            ]
        found = [*self._manipulations, *self._others, *endings]
        return sorted(found, key=lambda one: (one.chain, one.sequence))

    def _counts(self, heading: Heading) -> bool:
        """Whether anybody but who has the secret, where there is one, can't have written that."""
        return not self._keyring or self._keyring.knows(heading.key)

    def _fault_of(
        self, heading: Heading, line: bytes, digests: Sequence[bytes] | None
    ) -> FindingCode | None:
        """What is wrong with a message by itself."""
        if not heading.key:
            self.unsigned += 1
        if self._keyring.knows(heading.key):
            if not self._keyring.is_right(heading.key, unsigned(line), heading.mac):
                return FindingCode.FORGED
            self._has_signed = True
        elif self._keyring:
            self.unchecked += 1
            seen = self._chains.get(heading.chain)
            if (seen is None and self._has_signed) or (
                seen is not None and seen.key != heading.key
            ):
                return FindingCode.FOREIGN
        else:
            self.unchecked += bool(heading.key)
        if digests is None:
            return None
        is_right = heading.rows == len(digests) and heading.digest == rows_digest(digests)
        return None if is_right else FindingCode.CHANGED

    def _lost_after(self, lost: Lost | None, heading: Heading, line: bytes) -> str:
        """The digest behind which messages are lost, "" where nobody says so who counts: of a
        heading that is held against its signature, who has a secret alone.
        """
        if lost is None:
            return ""
        is_checked = self._keyring.knows(heading.key)
        return lost.previous if not is_checked or lost.is_signed(line, self._keyring) else ""

    def _place(self, offset: int, heading: Heading, digest: str, lost_after: str) -> None:
        """What is wrong with its place in its chain."""
        seen = self._chains.get(heading.chain)
        if seen is not None:
            numbers = range(seen.last.sequence + 1, heading.sequence)
            if (found := seen.add(heading, digest, lost_after)) is not None:
                detail = self._told_lost(numbers, heading) if found is FindingCode.LOST else ""
                self._tell(_about(found, heading, offset, detail))
            if heading.sequence != seen.first_sequence:
                self._age.see(heading, is_signed=self._keyring.knows(heading.key))
            return
        if not self._has_room(heading):
            self.unplaced += 1
            return
        seen = self._chains[heading.chain] = SeenChain(heading, offset, self._places)
        if (found := seen.add_first(digest)) is not None:
            self._tell(_about(found, heading, offset))

    def _told_lost(self, numbers: range, heading: Heading) -> str:
        """Which messages are lost, and where that is the word of the file alone."""
        is_unchecked = bool(heading.key) and not self._keyring.knows(heading.key)
        return _numbers(numbers) + "; not checked, for want of the chain's secret" * is_unchecked

    def _has_room(self, heading: Heading) -> bool:
        """Whether account may be kept of one more chain."""
        if self._counts(heading):
            self._has_unplaced |= len(self._chains) - self._unchecked_chains >= MOST_CHAINS
            return not self._has_unplaced
        if self._unchecked_chains >= MOST_UNCHECKED_CHAINS:
            return False
        self._unchecked_chains += 1
        return True

    def _hold_against(self, rows: Sequence[bytes], offset: int, heading: Heading) -> None:
        """What an anchor has seen, and the stream has not."""
        for row in rows:
            try:
                head = read_head(row)
            except Unreadable as error:
                self._tell(_about(FindingCode.UNREADABLE, heading, offset, str(error)))
                continue
            seen = self._chains.get(head.chain)
            found = None
            if seen is None:
                self._miss(head, offset)
            elif head.sequence > seen.last.sequence:
                found = FindingCode.CUT
            elif seen.knows_other_than(head.sequence, head.heading):
                found = FindingCode.REPLACED
            if found is not None:
                worker = "" if seen is None else seen.last.worker
                self._tell(Finding(found, head.chain, head.sequence, offset, worker))

    def _miss(self, head: Head, offset: int) -> None:
        """An anchor has seen a chain of which nothing stands before it."""
        missing = self._missing.get(head.chain)
        if missing is None and len(self._missing) >= MOST_CHAINS:
            return
        if missing is None or head.at > missing[0].at:
            self._missing[head.chain] = head, offset

    def _tell(self, finding: Finding) -> None:
        kept = self._manipulations if finding.code.is_manipulation else self._others
        if len(kept) < MOST_FINDINGS:
            kept.append(finding)
        else:
            self.more_findings += 1


def _about(code: FindingCode, heading: Heading, offset: int, detail: str = "") -> Finding:
    return Finding(code, heading.chain, heading.sequence, offset, heading.worker, detail)


def _numbers(gap: range) -> str:
    last = gap.stop - 1
    return f"missing: {gap.start}" if gap.start == last else f"missing: {gap.start} to {last}"
