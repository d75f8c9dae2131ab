"""What processes told of their lanes, which is most of a state: of those that are gone nobody asks
for it any more, while their counts are added up for as long as their chains are kept.
"""

from __future__ import annotations

from typing import Final

import orjson
from sqlalchemy import Connection, select

from worker.evidence.bounded_json import Unreadable
from worker.ledger.schema import CHAINS
from worker.ledger.worker_state import read_state

_AT_ONCE: Final = 500
_GONE_AFTER_MS: Final = 3_600_000
"""Who is silent for so long is gone, and tells its lanes anew should it go on."""
_LANES: Final = '"lanes":[{'
"""As JSON has them that workers write."""


def forget_lanes(connection: Connection, now_ms: int) -> int:
    """Take the lanes out of the states of some processes that have ended, or are silent at `now_ms`
    (ms since 1970) for an hour; gives of how many. 0: there are no more.
    """
    is_gone = CHAINS.c.has_ended | (CHAINS.c.last_at < now_ms - _GONE_AFTER_MS)
    has_lanes = CHAINS.c.state.contains(_LANES)
    query = select(CHAINS.c.id, CHAINS.c.state).where(CHAINS.c.is_worker, is_gone, has_lanes)
    rows = connection.execute(query.limit(_AT_ONCE)).all()
    for row in rows:
        text = _without_lanes(row.state)
        connection.execute(CHAINS.update().where(CHAINS.c.id == row.id).values(state=text))
    return len(rows)


def _without_lanes(state: str) -> str | None:
    """None for a state that can't be read, which is told as none. What no reader knows goes, too,
    or who writes any JSON would have lanes that never end.
    """
    try:
        known = read_state(state)
    except Unreadable:
        return None
    return orjson.dumps(known._replace(lanes=())._asdict()).decode()
