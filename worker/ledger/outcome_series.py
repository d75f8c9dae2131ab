"""How many receipts there were with which outcome, slot of time by slot of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from worker.evidence.receipt import OutcomeName
from worker.ledger.dictionary import id_of, texts_of
from worker.ledger.minutes import MINUTE_MS
from worker.ledger.packing import CHOICE_NUMBERS, OUTCOMES
from worker.ledger.schema import MINUTES

_WITHDRAWN: Final = CHOICE_NUMBERS["withdrawn"]


class Slots(NamedTuple):
    """Slots of time: `number` slots of `minutes` each; the last one has the present minute. `first`
    is the first one's minute since 1970.
    """

    first: int
    minutes: int
    number: int

    @classmethod
    def until(cls, now_ms: int, minutes: int, number: int) -> Slots:
        """The slots of time that end with the minute of `now_ms`."""
        return cls(now_ms // MINUTE_MS - minutes * number + 1, minutes, number)

    @property
    def since_ms(self) -> int:
        """When the first slot of time begins, in ms since 1970."""
        return self.first * MINUTE_MS

    @property
    def ms(self) -> int:
        """How long each slot of time is, in ms."""
        return self.minutes * MINUTE_MS


class OutcomeSeries(NamedTuple):
    """Receipts in each slot by outcome, and how many of all of them were of withdrawals."""

    slots: Slots
    receipts: Mapping[OutcomeName, Sequence[int]]
    withdrawn: Mapping[OutcomeName, int]

    def total(self, *outcomes: OutcomeName) -> int:
        """How many receipts have one of these outcomes."""
        return sum(sum(self.receipts[one]) for one in outcomes)

    @property
    def failing_spells(self) -> int:
        """How many times tries began to fail: at first, and after a slot in which some succeeded
        and none failed. In one without a try nothing has ended.
        """
        spells = 0
        is_failing = False
        for failed, went in zip(self.receipts["retried"], self.receipts["delivered"], strict=True):
            spells += failed > 0 and not is_failing
            is_failing = failed > 0 or (is_failing and not went)
        return spells


def outcome_series(
    connection: Connection, slots: Slots, integration: str | None = None
) -> OutcomeSeries:
    """The receipts in each slot by outcome, of an integration or of all."""
    slot = (MINUTES.c.minute - slots.first) // slots.minutes
    query = (
        select(slot, MINUTES.c.outcome, MINUTES.c.choice, func.sum(MINUTES.c.receipts))
        .where(*within(slots))
        .group_by(slot, MINUTES.c.outcome, MINUTES.c.choice)
    )
    if integration is not None:
        query = query.where(MINUTES.c.integration_id == id_of(connection, integration))
    receipts: dict[OutcomeName, list[int]] = {one: [0] * slots.number for one in OUTCOMES}
    withdrawn: dict[OutcomeName, int] = dict.fromkeys(OUTCOMES, 0)
    for place, outcome, choice, count in connection.execute(query):
        receipts[OUTCOMES[outcome]][int(place)] += count
        if choice == _WITHDRAWN:
            withdrawn[OUTCOMES[outcome]] += count
    return OutcomeSeries(slots, receipts, withdrawn)


def all_series(connection: Connection, slots: Slots) -> dict[str, list[int]]:
    """The receipts of each integration in each slot, whatever their outcome."""
    slot = (MINUTES.c.minute - slots.first) // slots.minutes
    query = (
        select(MINUTES.c.integration_id, slot, func.sum(MINUTES.c.receipts))
        .where(*within(slots))
        .group_by(MINUTES.c.integration_id, slot)
    )
    found: dict[int, list[int]] = {}
    for integration_id, place, count in connection.execute(query):
        found.setdefault(integration_id, [0] * slots.number)[int(place)] += count
    names = texts_of(connection, list(found))
    return {names.get(one, ""): counts for one, counts in found.items()}


def within(slots: Slots) -> tuple[ColumnElement[bool], ...]:
    """The conditions of rows of `minutes` in these slots."""
    end = slots.first + slots.minutes * slots.number
    return MINUTES.c.minute >= slots.first, MINUTES.c.minute < end
