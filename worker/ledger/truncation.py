"""What the stream's retention took before the ledger came to read it: which gaps in chains that
explains, as they are read. It stands in the findings and messages; `lost_before` keeps the answer.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from worker.ledger.schema import FINDINGS, MESSAGES
from worker.ledger.stream_findings import StreamFinding


class Truncation:
    """The stream's latest truncation, as the tables had it at the first question; none where the
    stream was made anew since.
    """

    def __init__(self, connection: Connection, generation: int) -> None:
        self._connection = connection
        self._generation = generation
        self._is_known = False
        self._went_on_at: int | None = None

    @property
    def went_on_at(self) -> int | None:
        """The stream's offset behind what is lost; None where nothing was."""
        if not self._is_known:
            self._is_known = True
            self._went_on_at = self._found()
        return self._went_on_at

    def took_what_follows(self, chain_id: int, sequence: int) -> bool:
        """Whether a chain was read that far before the truncation, and so may go on anywhere behind
        it. To be asked about what an earlier transaction has written.
        """
        went_on_at = self.went_on_at
        if went_on_at is None:
            return False
        place = (MESSAGES.c.chain_id == chain_id) & (MESSAGES.c.sequence == sequence)
        query = select(MESSAGES.c.generation, MESSAGES.c.stream_offset).where(place)
        found = self._connection.execute(query).first()
        if found is None:  # so old that the ledger has it no more
            return True
        return bool(found.generation != self._generation or found.stream_offset < went_on_at)

    def _found(self) -> int | None:
        query = select(FINDINGS.c.kind, FINDINGS.c.stream_offset, FINDINGS.c.last_at).where(
            FINDINGS.c.chain_id.is_(None)
        )
        found = {row.kind: row for row in self._connection.execute(query)}
        truncated = found.get(StreamFinding.TRUNCATED.value)
        recreated = found.get(StreamFinding.RECREATED.value)
        if truncated is None or (recreated is not None and recreated.last_at > truncated.last_at):
            return None
        return int(truncated.stream_offset)
