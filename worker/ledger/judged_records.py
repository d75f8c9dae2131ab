"""What the records of one transaction come to: each message is judged by its chain, and the
receipts of those that count are made ready for their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from worker.broker.stream_consumer import Record
from worker.evidence.anchors import read_head
from worker.evidence.bounded_json import Unreadable
from worker.evidence.findings import FindingCode
from worker.evidence.heading import Message, line_digest, read_message, row_digest
from worker.evidence.signing import Keyring
from worker.ledger.acts import act_rows
from worker.ledger.chain_judgement import has_its_rows, judge, judge_passed, signature_fault
from worker.ledger.chain_rows import ChainRow, ChainRows, heading_at
from worker.ledger.conservation import OVERDUE_MS
from worker.ledger.database import highest_id
from worker.ledger.dictionary import Dictionary
from worker.ledger.progress import FIRST_GENERATION
from worker.ledger.quick_receipts import quick_receipt
from worker.ledger.receipt_rows import PackedReceipt, pack, without_nul
from worker.ledger.records import Progress
from worker.ledger.retention import has_first_message, pruned_until
from worker.ledger.schema import MESSAGES
from worker.ledger.truncation import Truncation
from worker.ledger.worker_state import read_state


class RecordWork:
    """What the records of one transaction come to. Give it each by `read`, in their order."""

    def __init__(
        self,
        connection: Connection,
        keyring: Keyring,
        chains: ChainRows,
        dictionary: Dictionary,
        progress: Progress,
        now_ms: int,
        next_receipt_id: int,
    ) -> None:
        self._next_receipt_id = next_receipt_id
        self._now_ms = now_ms
        self._connection = connection
        self._keyring = keyring
        self._chains = chains
        self._dictionary = dictionary
        self.progress = progress
        self._last: Record | None = None
        self.messages: list[tuple[Any, ...]] = []
        self.packed: list[PackedReceipt] = []
        self.acts: list[tuple[Any, ...]] = []
        self.behind_lost: list[int] = []
        """The numbers of messages before which others were lost."""
        self.erasures: list[tuple[int, dict[str, set[bytes]]]] = []
        """Of each message that has any: how many receipts there are up to its last one, and users
        by integration."""
        self.parked_again: dict[str, int] = {}
        """What workers tell: when bundles that were parked again come back, by integration."""
        self._lines: dict[tuple[int, int], bytes] = {}
        self._truncation = Truncation(connection, progress.generation)
        self._next_id = highest_id(connection, MESSAGES) + 1
        self._is_first = not progress.has_read and progress.generation == FIRST_GENERATION
        is_reread = progress.generation > FIRST_GENERATION
        self._pruned_until = pruned_until(connection) if is_reread else 0

    def read(self, record: Record) -> None:
        """Judge one record of the stream, whatever it is."""
        self._last = record
        progress = self.progress
        if not progress.has_read:
            progress = progress._replace(first_offset=record.offset, first_digest=record.digest)
        self.progress = progress._replace(next_offset=record.offset + 1)
        try:
            message = read_message(record.body)
        except Unreadable:
            self._chains.found(FindingCode.UNREADABLE, None, None, record.offset)
            return
        heading = message.heading
        self.progress = self.progress._replace(written_at=heading.at)
        row = self._chains.row_of(self._connection, heading.chain)
        fault = signature_fault(message, self._keyring)
        if fault is not None:
            # Not under its chain: who forges would fill the findings of a chain that is none's.
            self._chains.found(fault, row, heading.sequence, record.offset)
            return
        if heading.at < self._pruned_until:
            return  # a recreated stream is read from its beginning, which may be older than we are
        judgement = judge(None if row is None else row.head, heading)
        if row is None:
            row = self._begun(message, record.offset)
        if judgement.is_passed:
            judgement = judge_passed(self._line_at(row.id, heading.sequence), message.line)
        for finding, count in judgement.findings:
            if finding is FindingCode.REMOVED and self._is_explained(row):
                self.behind_lost.append(self._next_id)
                continue
            self._chains.found(finding, row, heading.sequence, record.offset, count)
        if judgement.takes:
            self._take(row, message, record.offset)

    def _has_all(self) -> bool:
        """Whether all was read that was ever written to the stream, counted and is kept: a chain
        that is not known has no earlier message then.
        """
        if self.progress.first_offset or self._truncation.went_on_at is not None:
            return False
        if self._chains.has_passed_over(self._connection):
            return False
        return self._is_first or has_first_message(self._connection)

    def _is_explained(self, row: ChainRow) -> bool:
        """Whether retention may have taken what comes next in a chain, from the ledger, too."""
        if (row.id, row.sequence) in self._lines:
            return False
        return self._truncation.took_what_follows(row.id, row.sequence)

    @property
    def reached(self) -> Progress:
        """How far the stream is read with these records."""
        if self._last is None:
            return self.progress
        return self.progress._replace(last_digest=self._last.digest)

    def _begun(self, message: Message, offset: int) -> ChainRow:
        heading = message.heading
        worker = without_nul(heading.worker)
        worker_id = self._dictionary.ids_of(self._connection, [worker])[worker]
        row = self._chains.begin(self._connection, heading, worker_id)
        if heading.sequence and self._has_all():
            self._chains.found(FindingCode.HEADLESS, row, heading.sequence, offset)
        return row

    def _line_at(self, chain_id: int, sequence: int) -> bytes | None:
        line = self._lines.get((chain_id, sequence))
        return line or heading_at(self._connection, chain_id, sequence)

    def _take(self, row: ChainRow, message: Message, offset: int) -> None:
        """A message that belongs where it stands. Rows that are not those of its heading are passed
        over; the heading counts, or its chain would have a hole.
        """
        heading = message.heading
        receipts = 0
        digests = None
        first_receipt_id = self._next_receipt_id + len(self.packed)
        if not has_its_rows(message):
            self._chains.found(FindingCode.CHANGED, row, heading.sequence, offset)
            message = message._replace(rows=())
        elif heading.kind == "receipts":
            receipts = self._take_receipts(row, message, offset)
            if receipts < len(message.rows):  # else receipts have theirs
                digests = b"".join(map(row_digest, message.rows))
        else:
            digests = b"".join(map(row_digest, message.rows))
        if heading.kind == "anchor":
            self._hold_against(message.rows, offset)
        elif heading.kind == "state":
            self._take_parked_again(message)
        elif heading.kind == "trail":
            acts, unreadable = act_rows(message.rows, self._next_id)
            self.acts += acts
            if unreadable:
                self._chains.found(
                    FindingCode.UNREADABLE, row, heading.sequence, offset, unreadable
                )
        place = (self.progress.generation, offset, row.id, heading.sequence)
        at = min(heading.at, self._now_ms)  # one of the future would outlive its retention
        first = first_receipt_id if receipts else None
        self.messages.append((self._next_id, *place, at, message.line, digests, first))
        self._lines[row.id, heading.sequence] = message.line
        self._next_id += 1
        self._chains.add(row, message, receipts, self._now_ms)

    def _take_receipts(self, row: ChainRow, message: Message, offset: int) -> int:
        taken = 0
        erased: dict[str, set[bytes]] = {}
        for place, line in enumerate(message.rows):
            try:
                receipt, is_told = quick_receipt(line)
            except Unreadable:
                sequence = message.heading.sequence
                self._chains.found(FindingCode.UNREADABLE, row, sequence, offset)
                continue
            one = pack(receipt, line, self._next_id, place, self._now_ms, is_told=is_told)
            self.packed.append(one)
            taken += 1
            if receipt.outcome == "erased" and one.user is not None:
                erased.setdefault(one.receipt.integration, set()).add(one.user)
        if erased:
            self.erasures.append((len(self.packed), erased))
        return taken

    def _take_parked_again(self, message: Message) -> None:
        """A time that no bundle can be parked until is one of a clock that is wrong."""
        latest_ms = min(message.heading.at, self._now_ms) + OVERDUE_MS
        for line in message.rows[:1]:
            with suppress(Unreadable):
                for name, due_at in read_state(line).parked_again.items():
                    known = without_nul(name)
                    until_ms = min(due_at, latest_ms)
                    self.parked_again[known] = max(until_ms, self.parked_again.get(known, 0))

    def _hold_against(self, rows: Sequence[bytes], offset: int) -> None:
        """What an anchor has seen, and this ledger has not."""
        for line in rows:
            try:
                head = read_head(line)
            except Unreadable:
                self._chains.found(FindingCode.UNREADABLE, None, None, offset)
                continue
            row = self._chains.row_of(self._connection, head.chain)
            if row is None:
                # Else it may be older than the stream, or stood in what was lost.
                if self.progress.first_offset == 0 and self._truncation.went_on_at is None:
                    self._chains.found(FindingCode.CUT, None, head.sequence, offset)
            elif head.sequence > row.sequence:
                if not self._is_explained(row):
                    self._chains.found(FindingCode.CUT, row, head.sequence, offset)
            else:
                line_there = self._line_at(row.id, head.sequence)
                if line_there is not None and line_digest(line_there) != head.heading:
                    self._chains.found(FindingCode.REPLACED, row, head.sequence, offset)
