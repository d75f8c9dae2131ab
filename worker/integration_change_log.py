"""What a reading of the integrations has brought, in the log: ten lines of each kind at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import structlog

from worker.integrations.change_summary import Change
from worker.shortened_lists import TOLD_AT_MOST, first

log = structlog.get_logger(__name__)

One = TypeVar("One")
_ALL_FILES: Final = "; `consent-worker integrations validate` names them all"


def report_change(change: Change) -> None:
    """Log a change of the integrations. Of more than ten integrations a last line without id has
    the number of the others.
    """
    if change.loaded or change.removed:
        loaded, removed = first(change.loaded), first(change.removed)
        log.info("integrations.reloaded", loaded=loaded, removed=removed)
    for problem in first(change.problems, "file", _ALL_FILES):
        log.error("integrations.invalid", detail=problem)
    for problem in first(change.mended, "file"):
        log.info("integrations.mended", detail=problem)
    for one in _told(change.vanished, "integration.vanished", log.warning):
        log.warning("integration.vanished", integration=one, detail="its last version is in force")
    for one in _told(change.returned, "integration.returned", log.info):
        log.info("integration.returned", integration=one)
    for one in _told(change.missing, "integration.missing", log.warning):
        log.warning("integration.missing", integration=one, detail="its events wait in doubt")
    for one, state in _told(change.switched, "integration.switched", log.warning):
        log.warning("integration.switched", integration=one, state=state)


def _told(of: tuple[One, ...], event: str, write: Callable[..., None]) -> Iterator[One]:
    """Those that are told one by one, and then a line about the others."""
    yield from of[:TOLD_AT_MOST]
    if len(of) > TOLD_AT_MOST:
        write(event, integration=None, detail=f"and {len(of) - TOLD_AT_MOST} more")
