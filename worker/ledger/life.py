"""What a receipt makes of the life of an event at an integration. Pure, and the order in which the
receipts come does not matter.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from worker.ledger.packing import OUTCOME_NUMBERS

RECEIVED: Final = OUTCOME_NUMBERS["received"]
RETRIED: Final = OUTCOME_NUMBERS["retried"]
PARKED: Final = OUTCOME_NUMBERS["parked"]
DELIVERED: Final = OUTCOME_NUMBERS["delivered"]
SKIPPED: Final = OUTCOME_NUMBERS["skipped"]
DEAD: Final = OUTCOME_NUMBERS["dead"]
WAITING: Final = frozenset({RETRIED, PARKED})
FINAL: Final = frozenset({DELIVERED, SKIPPED, DEAD})


class Life(NamedTuple):
    """What became of an event at an integration so far; times in ms since 1970. `last_id` is its
    latest receipt, which need not be the one that decides. `group_id` is that of a dead letter.
    """

    integration_id: int
    user: bytes | None
    outcome: int
    reason_id: int
    at: int
    due_at: int | None
    group_id: int | None
    last_id: int


def merged(life: Life | None, newer: Life) -> Life:
    """The life after `newer`, which is one receipt as a life of its own.

    An end counts more than waiting, and that more than the door's receipt: clocks differ, and a
    copy of a finished event may still come by. What Adobe has accepted stays delivered, however
    a copy of it ends. Otherwise the later receipt counts.
    """
    if life is None:
        return newer
    if _counts_more(newer, life):
        return newer._replace(user=newer.user or life.user)
    return life._replace(last_id=newer.last_id, user=life.user or newer.user)


def _counts_more(newer: Life, life: Life) -> bool:
    rank, before = _rank(newer.outcome), _rank(life.outcome)
    return rank > before or (rank == before and newer.at >= life.at)


def _rank(outcome: int) -> int:
    if outcome == DELIVERED:
        return 3
    if outcome in FINAL:
        return 2
    return 1 if outcome in WAITING else 0
