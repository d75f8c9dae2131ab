"""What the ledger has on record after a run, held against what was published and what workers told.
Pure, but for the look into the ledger's file.

A worker that is killed while receipts are away takes those along that were not written yet. Its log
tells which outcomes these may be, and nothing else may be missing.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from devtools.chaos.check import Ends, Key, Letter
from worker.ledger.packing import OUTCOMES, unpack_event

ENDS: Final = ("delivered", "skipped", "dead")
"""The first of them counts, where an event has come to several."""
_BACK_SECONDS: Final = 5.0
"""What was kept while receipts were away is written within so long after."""
_LIVES: Final = """
    SELECT names.text, receipts.event, lives.outcome FROM lives
    JOIN receipts ON receipts.id = lives.last_id
    JOIN names ON names.id = lives.integration_id
"""

Recorded = Mapping[Key, str]
"""What became of each event for an integration: the first of `ENDS` that it came to, or why it
waits.
"""


def read_recorded(file: Path, ids: Mapping[str, str]) -> Recorded:
    """What the ledger in `file` has; `ids` are those of events by what workers call them, where
    that is another name.
    """
    found: dict[Key, str] = {}
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10) as ledger:
        for integration, packed, number in ledger.execute(_LIVES):
            told, outcome = unpack_event(packed), OUTCOMES[number]
            key = (integration, ids.get(told, told))
            if key not in found or _rank(outcome) < _rank(found[key]):
                found[key] = outcome
    return found


def unwritten(entries: Iterable[Mapping[str, Any]], ids: Mapping[str, str]) -> set[Key]:
    """The events whose receipts a process may have taken along, by its log: those that were not
    written when receipts went away, and all that came after, if it ended before they were back.
    """
    told: list[Key] = []
    first: int | None = None
    back_at: datetime | None = None
    for entry in entries:
        at = datetime.fromisoformat(str(entry["timestamp"]))
        if back_at is not None and (at - back_at).total_seconds() > _BACK_SECONDS:
            first = back_at = None
        kind = str(entry["event"])
        if kind == "receipts.away":
            back_at = None
            if first is None:
                first = max(0, len(told) - int(entry["waiting"]))
        elif kind == "receipts.back":
            back_at = at
        elif kind.startswith("delivery."):
            event_id = str(entry["event_id"])
            told.append((str(entry["integration"]), ids.get(event_id, event_id)))
    return set() if first is None else set(told[first:])


def not_on_record(
    confirmed: Counter[Key], recorded: Recorded, excused: set[Key], unreceipted: Mapping[str, int]
) -> list[str]:
    """Events that were published and have no end on record, beyond those that are `excused` and as
    many of an integration as workers have counted as `unreceipted`; and those on record that nobody
    has published.
    """
    absent = [key for key in sorted(confirmed) if recorded.get(key) not in ENDS]
    absent = [key for key in absent if key not in excused]
    counts = Counter(integration for integration, _ in absent)
    problems = [
        f"{integration}: {event_id} has no end on record "
        f"({recorded.get((integration, event_id), 'no receipt')})"
        for integration, event_id in absent
        if counts[integration] > unreceipted.get(integration, 0)
    ]
    return problems + [
        f"{integration}: {event_id} is on record, and nobody has published it"
        for integration, event_id in sorted(set(recorded) - set(confirmed))
    ]


def wrong_on_record(recorded: Recorded, ends: Ends, letters: Sequence[Letter]) -> list[str]:
    """Ends on record that nobody has seen: no worker told of them, and no dead letter is there."""
    dead = {(one.integration, one.event_id) for one in letters}
    seen = {"delivered": set(ends.delivered), "skipped": set(ends.skipped), "dead": dead}
    return [
        f"{integration}: {event_id} is {outcome} on record, and not by the log and the queue"
        for (integration, event_id), outcome in sorted(recorded.items())
        if outcome in seen and (integration, event_id) not in seen[outcome]
    ]


def _rank(outcome: str) -> int:
    return ENDS.index(outcome) if outcome in ENDS else len(ENDS)
