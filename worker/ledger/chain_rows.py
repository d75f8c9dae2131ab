"""The heads of chains while records are taken in: read from the tables once, written back at the
end of each transaction.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from worker.evidence.bounded_json import Unreadable
from worker.evidence.findings import FindingCode
from worker.evidence.heading import Heading, Message, line_digest
from worker.ledger.chain_judgement import ChainHead
from worker.ledger.database import put_all
from worker.ledger.fleet_clocks import by_our_clock
from worker.ledger.schema import CHAINS, FINDINGS, MESSAGES
from worker.ledger.stream_findings import AnyFinding
from worker.ledger.worker_state import read_state

_MOST_KEPT: Final = 10_000
"""Chains kept in memory; one that is not is read from the tables when it goes on."""

_PASSED_OVER: Final = (FindingCode.FOREIGN, FindingCode.FORGED, FindingCode.UNREADABLE)


class ChainRow(NamedTuple):
    """A row of the table `chains`."""

    id: int
    chain: bytes
    worker_id: int
    is_worker: bool
    key: str
    sequence: int
    digest: bytes
    began_at: int
    last_at: int
    has_ended: bool
    receipts: int
    state: str | None
    state_at: int | None
    unbalanced_since: int | None
    unreceipted_at: int | None

    @property
    def head(self) -> ChainHead:
        """The head of the chain, which its next message is judged by."""
        return ChainHead(self.sequence, self.digest.hex(), self.has_ended)


class ChainRows:
    """The heads of chains, for the one writer. Call `forget` when a transaction was not kept."""

    def __init__(self) -> None:
        self._rows: dict[bytes, ChainRow] = {}
        self._changed: set[bytes] = set()
        self._next_id = 0
        self._findings: Counter[tuple[str, int | None]] = Counter()
        self._places: dict[tuple[str, int | None], tuple[int | None, int]] = {}

    def forget(self) -> None:
        """Read the heads of chains again."""
        self._rows.clear()
        self._changed.clear()
        self._findings.clear()
        self._places.clear()
        self._next_id = 0

    def row_of(self, connection: Connection, chain: str) -> ChainRow | None:
        """The row of a chain, None for one that is new."""
        name = bytes.fromhex(chain)
        row = self._rows.get(name)
        if row is None:
            found = connection.execute(select(CHAINS).where(CHAINS.c.chain == name)).first()
            if found is not None:
                row = self._rows[name] = ChainRow(*found)
        return row

    def begin(self, connection: Connection, heading: Heading, worker_id: int) -> ChainRow:
        """The row of a chain that is new, before its first message is added."""
        if not self._next_id:
            self._next_id = (connection.execute(select(func.max(CHAINS.c.id))).scalar() or 0) + 1
        name = bytes.fromhex(heading.chain)
        row = ChainRow(
            self._next_id,
            name,
            worker_id,
            is_worker=False,
            key=heading.key,
            sequence=-1,
            digest=b"",
            began_at=heading.at,
            last_at=heading.at,
            has_ended=False,
            receipts=0,
            state=None,
            state_at=None,
            unbalanced_since=None,
            unreceipted_at=None,
        )
        self._next_id += 1
        self._rows[name] = row
        return row

    def add(self, row: ChainRow, message: Message, receipts: int, now_ms: int) -> None:
        """The chain goes on with a message; one that came late leaves its head as it is. A process
        whose clock is far ahead counts as heard of now, or it would seem to live on for long.
        """
        heading = message.heading
        at = by_our_clock(heading.at, now_ms)
        changed = row._replace(
            receipts=row.receipts + receipts,
            is_worker=row.is_worker or heading.kind in ("receipts", "state"),
        )
        if heading.sequence > row.sequence:
            changed = changed._replace(
                sequence=heading.sequence,
                digest=bytes.fromhex(line_digest(message.line)),
                last_at=at,
                has_ended=row.has_ended or heading.kind == "end",
            )
            if heading.kind == "state" and message.rows:
                changed = _with_state(changed, message)
        self._rows[row.chain] = changed
        self._changed.add(row.chain)

    def found(
        self,
        finding: AnyFinding,
        row: ChainRow | None,
        sequence: int | None,
        offset: int,
        count: int = 1,
    ) -> None:
        """Something is wrong with a message, or with the stream where there is no `row`."""
        name = (finding.value, None if row is None else row.id)
        self._findings[name] += count
        self._places[name] = (sequence, offset)

    def has_passed_over(self, connection: Connection) -> bool:
        """Whether messages were found that did not count, and belong to no chain that is known."""
        if any((one.value, None) in self._findings for one in _PASSED_OVER):
            return True
        query = select(FINDINGS.c.id).where(
            FINDINGS.c.chain_id.is_(None), FINDINGS.c.kind.in_([one.value for one in _PASSED_OVER])
        )
        return connection.execute(query.limit(1)).first() is not None

    def write(self, connection: Connection, now_ms: int) -> dict[str, int]:
        """Write the chains that have changed, and findings; gives the findings, by kind."""
        put_all(connection, CHAINS, [self._rows[one] for one in self._changed])
        self._changed.clear()
        told: Counter[str] = Counter()
        for (kind, chain_id), count in self._findings.items():
            told[kind] += count
            sequence, offset = self._places[kind, chain_id]
            _add_finding(connection, kind, chain_id, sequence, offset, count, now_ms)
        self._findings.clear()
        self._places.clear()
        if len(self._rows) > _MOST_KEPT:
            self._rows.clear()
        return dict(told)


def _with_state(row: ChainRow, message: Message) -> ChainRow:
    at = message.heading.at
    try:
        text = message.rows[0].decode()
        state = read_state(text)
    except (Unreadable, UnicodeDecodeError):
        return row
    since = None if state.missing == 0 else row.unbalanced_since or at
    is_more = state.unreceipted_events > _unreceipted(row.state)
    return row._replace(
        state=text,
        state_at=at,
        unbalanced_since=since,
        unreceipted_at=row.last_at if is_more else row.unreceipted_at,
    )


def _unreceipted(state: str | None) -> int:
    """Outcomes without a receipt, by a state that may be kept since an older version."""
    if state is not None:
        with suppress(Unreadable):
            return read_state(state).unreceipted_events
    return 0


def _add_finding(
    connection: Connection,
    kind: str,
    chain_id: int | None,
    sequence: int | None,
    offset: int,
    count: int,
    now_ms: int,
) -> None:
    same = (FINDINGS.c.kind == kind) & (FINDINGS.c.chain_id.is_not_distinct_from(chain_id))
    values = {"sequence": sequence, "stream_offset": offset, "last_at": now_ms}
    changed = connection.execute(
        FINDINGS.update().where(same).values(messages=FINDINGS.c.messages + count, **values)
    )
    if not changed.rowcount:
        connection.execute(
            FINDINGS.insert().values(
                kind=kind, chain_id=chain_id, found_at=now_ms, messages=count, **values
            )
        )


def heading_at(connection: Connection, chain_id: int, sequence: int) -> bytes | None:
    """The heading line that stands at a place of a chain, if the ledger has it."""
    place = (MESSAGES.c.chain_id == chain_id) & (MESSAGES.c.sequence == sequence)
    found = connection.execute(select(MESSAGES.c.heading).where(place)).scalar()
    return None if found is None else bytes(found)
