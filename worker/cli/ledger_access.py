"""What the commands that look things up in the ledger share: opening it, and times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import typer

from worker.ledger.database import Database
from worker.ledger.ledger_from_settings import ledger_url
from worker.ledger.migrations import check_version
from worker.moments import moment_ms
from worker.settings import WorkerSettings

_PARTS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@contextmanager
def opened_ledger(settings: WorkerSettings) -> Iterator[Database]:
    """The ledger, to be read. Raises `UnusableSetting`, `UnusableLedger` and `LedgerTrouble`."""
    database = Database(ledger_url(settings))
    try:
        check_version(database)
        yield database
    finally:
        database.close()


def shown_at(at_ms: int | None, now: int) -> str:
    """A time, absolute and relative: `2026-11-29 13:20:01Z (5 min ago)`."""
    if at_ms is None:
        return "-"
    try:
        absolute = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "at no time that a calendar has"
    span = shown_span(abs(now - at_ms))
    return f"{absolute} ({span} ago)" if now >= at_ms else f"{absolute} (in {span})"


def shown_span(ms: int) -> str:
    """A duration in its largest unit: `90 ms`, `5 s`, `3 h`."""
    seconds = ms // 1000
    for size, unit in _PARTS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{ms} ms"


def time_in(text: str, option: str, now: int) -> int | None:
    """The time that an option gives, in ms since 1970, see `moment_ms`. None for nothing. Raises
    `typer.BadParameter`.
    """
    if not text:
        return None
    try:
        return moment_ms(text, now)
    except ValueError:
        raise typer.BadParameter(
            f"{option} takes an age such as 90s, 2h or 7d, or a time such as 2026-11-29T13:20"
        ) from None
