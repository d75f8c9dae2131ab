"""How long it took from a choice to Adobe's yes, by a sample of the receipts of a time.

A ledger has millions of receipts of a day, and a page has to be there in a moment. So of many a
fixed number is looked at, in blocks that are spread evenly over all; of few, each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from worker.ledger.dictionary import id_of
from worker.ledger.life import DELIVERED
from worker.ledger.outcome_series import Slots
from worker.ledger.packing import CHOICE_NUMBERS
from worker.ledger.schema import RECEIPTS

MOST_LOOKED_AT: Final = 6_000
_BLOCK: Final = 50
"""Receipts that lie together: to look one up costs as much as to read so many."""
_WITHDRAWN: Final = CHOICE_NUMBERS["withdrawn"]
_GIVEN: Final = CHOICE_NUMBERS["given"]


class Quantiles(NamedTuple):
    """So many `times` from a choice to Adobe's yes, of which half were shorter than `p50_ms`, and
    99 of 100 than `p99_ms`.
    """

    times: int
    p50_ms: int
    p99_ms: int


class HonourTimes(NamedTuple):
    """How long withdrawn and given choices took until Adobe's yes: all, and slot by slot, None
    where there was none. `looked_at` receipts were read for it, and `is_sample` says whether there
    were more.
    """

    withdrawn: Quantiles | None
    given: Quantiles | None
    withdrawn_by_slot: Sequence[Quantiles | None]
    given_by_slot: Sequence[Quantiles | None]
    is_sample: bool
    looked_at: int


def honour_times(
    connection: Connection, slots: Slots, integration: str | None = None
) -> HonourTimes:
    """How long it took from a choice to Adobe's yes, of an integration or of all."""
    columns = (RECEIPTS.c.at, RECEIPTS.c.event_at, RECEIPTS.c.choice, RECEIPTS.c.outcome)
    is_sample = False
    if integration is not None:
        query = (
            select(*columns)
            .where(
                RECEIPTS.c.integration_id == id_of(connection, integration),
                RECEIPTS.c.at >= slots.since_ms,
            )
            .order_by(RECEIPTS.c.at.desc())
            .limit(MOST_LOOKED_AT + 1)
        )
        rows: Sequence[Any] = connection.execute(query).all()
        is_sample = len(rows) > MOST_LOOKED_AT
    else:
        blocks, is_sample = _blocks_since(connection, slots.since_ms)
        rows = [
            row
            for first, last in blocks
            for row in connection.execute(
                select(*columns).where(RECEIPTS.c.id >= first, RECEIPTS.c.id <= last)
            )
        ]
    return _told(rows, slots, is_sample=is_sample)


def _told(rows: Sequence[Any], slots: Slots, *, is_sample: bool) -> HonourTimes:
    times: dict[int, list[list[int]]] = {
        one: [[] for _ in range(slots.number)] for one in (_WITHDRAWN, _GIVEN)
    }
    for at, event_at, choice, outcome in rows:
        place = (at - slots.since_ms) // slots.ms
        is_told = outcome == DELIVERED and event_at is not None and choice in times
        if is_told and 0 <= place < slots.number:
            times[choice][place].append(max(0, at - event_at))
    return HonourTimes(
        quantiles([one for some in times[_WITHDRAWN] for one in some]),
        quantiles([one for some in times[_GIVEN] for one in some]),
        [quantiles(some) for some in times[_WITHDRAWN]],
        [quantiles(some) for some in times[_GIVEN]],
        is_sample,
        min(len(rows), MOST_LOOKED_AT),
    )


def quantiles(times_ms: list[int]) -> Quantiles | None:
    """The quantiles of times from a choice to Adobe's yes; None of none."""
    if not times_ms:
        return None
    ordered = sorted(times_ms)
    last = len(ordered) - 1
    return Quantiles(len(ordered), ordered[round(0.5 * last)], ordered[round(0.99 * last)])


def _blocks_since(connection: Connection, since_ms: int) -> tuple[list[tuple[int, int]], bool]:
    """First and last numbers of receipts of after then, and whether there are more."""
    # One after the other: for both at once SQLite reads the whole table.
    oldest = connection.execute(select(func.min(RECEIPTS.c.id))).scalar()
    last = connection.execute(select(func.max(RECEIPTS.c.id))).scalar()
    if oldest is None or last is None:
        return [], False
    first = _first_since(connection, oldest, last, since_ms)
    count = last - first + 1
    if count <= MOST_LOOKED_AT:
        return [(first, last)], False
    number = MOST_LOOKED_AT // _BLOCK
    starts = [first + one * count // number for one in range(number)]
    return [(one, one + _BLOCK - 1) for one in starts], True


def _first_since(connection: Connection, first: int, last: int, since_ms: int) -> int:
    """The first receipt of after then, by halves: receipts are numbered as they came, which is
    nearly the order of their times.
    """
    while first < last:
        middle = (first + last) // 2
        query = select(RECEIPTS.c.at).where(RECEIPTS.c.id >= middle).order_by(RECEIPTS.c.id)
        at = connection.execute(query.limit(1)).scalar_one()
        first, last = (first, middle) if at >= since_ms else (middle + 1, last)
    return first
