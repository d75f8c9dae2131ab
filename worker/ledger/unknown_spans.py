"""What the ledger can't know, so that "no receipt" is not taken for "never was"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from worker.counting import counted, verb
from worker.ledger.minutes import MINUTE_MS
from worker.ledger.overview import STANDS_MS, tallies_of
from worker.ledger.progress import read_progress
from worker.ledger.schema import MESSAGES, MINUTES
from worker.ledger.stream_findings import ToldFinding, told_findings


class UnknownSpans(NamedTuple):
    """What the ledger can't know: `begins` is the oldest message's time, `read_to` that of the last
    one that was read, in ms since 1970; `unreceipted` are outcomes of live and ended workers
    without a receipt.
    """

    begins: int | None
    read_to: int | None
    is_behind: bool
    unreceipted: Mapping[str, int]
    findings: Sequence[ToldFinding]

    def sentences(self, shown: Callable[[int], str]) -> Iterator[str]:
        """Each thing that may be why there is no receipt; `shown` writes a time."""
        if self.begins is None:
            yield "the ledger is empty: `consent-worker ledger` has read nothing yet"
            return
        yield f"the ledger has receipts since {shown(self.begins)}"
        if self.read_to is not None:
            runs = "; no ledger runs now, so what came later is not in it" * self.is_behind
            yield f"it was read up to {shown(self.read_to)}{runs}"
        for integration, count in self.unreceipted.items():
            where = f"integration {integration}" if integration else "no integration"
            outcomes = f"{counted(count, 'outcome')} of {where} {verb(count, 'has', 'have')}"
            yield f"{outcomes} no receipt, since the stream was away"
        for one in self.findings:
            yield f"{one.messages} {one.kind}, last {shown(one.last_at)}: {one.sentence}"


def begins_ms(connection: Connection) -> int | None:
    """When the ledger begins, in ms since 1970: by its oldest message, or by a receipt that waited
    for one. None for an empty ledger.
    """
    query = select(MESSAGES.c.at).order_by(MESSAGES.c.id).limit(1)
    oldest = connection.execute(query).scalar()
    minute = connection.execute(select(func.min(MINUTES.c.minute))).scalar()
    if minute is None or (oldest is not None and oldest < (minute + 1) * MINUTE_MS):
        return oldest
    return int(minute) * MINUTE_MS


def unknown_spans(connection: Connection, now_ms: int) -> UnknownSpans:
    """What the ledger can't know, at `now_ms`."""
    progress = read_progress(connection)
    unreceipted: Counter[str] = Counter()
    for one in tallies_of(connection):
        if one.state is not None:
            unreceipted.update(one.state.unreceipted)
    return UnknownSpans(
        begins=begins_ms(connection),
        read_to=None if progress is None else progress.written_at,
        is_behind=progress is None or now_ms - progress.alive_at > STANDS_MS,
        unreceipted=dict(unreceipted),
        findings=told_findings(connection),
    )
