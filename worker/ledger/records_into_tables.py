"""Takes records of the stream into the tables, exactly once: the offset is compared and set in the
transaction that writes what stood there.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from worker.broker.stream_consumer import Record
from worker.evidence.bounded_json import Unreadable
from worker.evidence.heading import read_message
from worker.evidence.signing import Keyring
from worker.ledger.acts import write_acts
from worker.ledger.awaited_outcomes import wait_no_more
from worker.ledger.blanking import write_and_blank
from worker.ledger.chain_judgement import signature_fault
from worker.ledger.chain_rows import ChainRows
from worker.ledger.database import Database, insert_all
from worker.ledger.dictionary import Dictionary
from worker.ledger.judged_records import RecordWork
from worker.ledger.known_letters import LetterPass
from worker.ledger.letter_group_key import LetterGroups
from worker.ledger.letter_pass_rows import LetterRows, SeenLetter
from worker.ledger.lost_before import note_lost
from worker.ledger.parked_again_events import note_parked_again
from worker.ledger.progress import begin_reading, move_on, read_progress
from worker.ledger.receipt_rows import ReceiptRows
from worker.ledger.records import Progress, Start
from worker.ledger.schema import MESSAGES
from worker.ledger.stream_findings import StreamFinding
from worker.ledger.trouble import LedgerTrouble


class TakingIn:
    """Takes records of the stream into the tables, for the one writer of `database`. After an error
    nothing of the call is kept, and it may be repeated.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._dictionary = Dictionary()
        self._groups = LetterGroups()
        self._receipts = ReceiptRows(self._dictionary, self._groups)
        self._letters = LetterRows(self._dictionary, self._groups)
        self._chains = ChainRows()

    def take(self, records: Sequence[Record], now_ms: int) -> dict[str, int]:
        """Take in records of the stream in the order of their offsets. Gives what was found to be
        wrong, by kind. Raises `LedgerTrouble`.
        """
        with _uncollected(), self._kept_or_forgotten() as connection:
            progress = read_progress(connection)
            if progress is None:
                raise LedgerTrouble("the reading of the stream has not begun")
            return self._take(connection, progress, records, now_ms)

    def begin(self, start: Start, now_ms: int) -> dict[str, int]:
        """Go on reading the stream there. Gives what was wrong, and raises, as `take` does."""
        with self._kept_or_forgotten() as connection:
            if start.lost or start.is_recreated:
                wait_no_more(connection)
            begin_reading(connection, start, now_ms)
            if start.is_recreated:
                self._chains.found(StreamFinding.RECREATED, None, None, start.offset)
            if start.lost:
                self._chains.found(StreamFinding.TRUNCATED, None, None, start.offset, start.lost)
            return self._chains.write(connection, now_ms)

    def is_news(self, record: Record) -> bool:
        """Whether the ledger has never read that record, which goes on a chain or begins one.
        Raises as `take` does. Of what does not count nobody can tell.
        """
        try:
            message = read_message(record.body)
        except Unreadable:
            return False
        if signature_fault(message, self._keyring) is not None:
            return False
        with self._kept_or_forgotten() as connection:
            row = self._chains.row_of(connection, message.heading.chain)
        return row is None or message.heading.sequence > row.sequence

    def begin_letters(self) -> int:
        """Begin a pass over the dead letters; gives its number. Raises `LedgerTrouble`, as do the
        other two."""
        with self._kept_or_forgotten() as connection:
            return self._letters.begin(connection)

    def put_letters(self, pass_id: int, seen: Sequence[SeenLetter], now_ms: int) -> int:
        """Put dead letters of a pass there; gives how many of them have no receipt."""
        with self._kept_or_forgotten() as connection:
            return self._letters.put(connection, pass_id, seen, now_ms)

    def end_letters(self, pass_id: int, run: LetterPass) -> None:
        """The pass over the dead letters came to its end: what it has not seen is gone."""
        with self._kept_or_forgotten() as connection:
            self._letters.end(connection, (pass_id, *run))

    @contextmanager
    def _kept_or_forgotten(self) -> Iterator[Connection]:
        try:
            with self._database.transaction() as connection:
                yield connection
        except BaseException:
            self._dictionary.forget()
            self._groups.forget()
            self._receipts.forget()
            self._chains.forget()
            raise

    def _take(
        self, connection: Connection, progress: Progress, records: Sequence[Record], now_ms: int
    ) -> dict[str, int]:
        work = RecordWork(
            connection,
            self._keyring,
            self._chains,
            self._dictionary,
            progress,
            now_ms,
            self._receipts.next_id(connection),
        )
        for record in records:
            if record.offset < work.progress.next_offset:
                continue  # read before, and sent once more after a loss of the connection
            # Offsets may jump: the broker keeps records of its own in a stream.
            work.read(record)
        move_on(connection, progress, work.reached._replace(read_at=now_ms, alive_at=now_ms))
        insert_all(connection, MESSAGES, work.messages)
        note_lost(connection, work.behind_lost)
        write_and_blank(connection, self._receipts, work.packed, work.erasures)
        write_acts(connection, work.acts)
        note_parked_again(connection, self._dictionary, work.parked_again)
        return self._chains.write(connection, now_ms)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no circles of objects meanwhile: rows are in none, and to look through all of them
    again and again takes as long as half of the rest.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
