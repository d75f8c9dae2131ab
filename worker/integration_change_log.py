"""What a reading of the integrations has brought, in the log: ten lines of each kind at most."""

from __future__ import annotations

from typing import Final

import structlog

from worker.integrations.change_summary import Change
from worker.shortened_lists import TOLD_AT_MOST, first

log = structlog.get_logger(__name__)

_MORE_FILES: Final = "more files; `consent-worker integrations validate` names them all"


def report_change(change: Change) -> None:
    """Log it. Of more than ten integrations a last line without id has the number of the others."""
    if change.loaded or change.removed:
        loaded, removed = first(change.loaded, "more"), first(change.removed, "more")
        log.info("integrations.reloaded", loaded=loaded, removed=removed)
    for problem in first(change.problems, _MORE_FILES):
        log.error("integrations.invalid", detail=problem)
    for problem in first(change.mended, "more files"):
        log.info("integrations.mended", detail=problem)
    for one in change.vanished[:TOLD_AT_MOST]:
        log.warning("integration.vanished", integration=one, detail="its last version is in force")
    if rest := _rest(change.vanished):
        log.warning("integration.vanished", integration=None, detail=rest)
    for one in change.returned[:TOLD_AT_MOST]:
        log.info("integration.returned", integration=one)
    if rest := _rest(change.returned):
        log.info("integration.returned", integration=None, detail=rest)
    for one, state in change.switched[:TOLD_AT_MOST]:
        log.warning("integration.switched", integration=one, state=state)
    if rest := _rest(change.switched):
        log.warning("integration.switched", integration=None, detail=rest)


def _rest(of: tuple[object, ...]) -> str:
    number = len(of) - TOLD_AT_MOST
    return f"and {number} more" if number > 0 else ""
