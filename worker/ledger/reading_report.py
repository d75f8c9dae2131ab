"""What the log and the metrics tell of the reading of the stream."""

from __future__ import annotations

from collections import Counter
from typing import Final

import structlog

from worker.broker.stream_consumer import Record
from worker.errors import ServerTrouble
from worker.ledger.stream_findings import SENTENCES
from worker.wire.connecting import (
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    why_unreachable,
)

log = structlog.get_logger(__name__)

_NO_STREAM: Final = (
    "there is no stream of receipts yet; a worker makes it, unless CONSENT_WORKER_RECEIPTS=off, or "
    "check CONSENT_WORKER_NAMESPACE"
)


class ReadingReport:
    """How the reading of the stream goes: `unwritten` and `away` say why the file can't be written
    and the stream can't be read now, "" while they can. `missing` are events that do not add up, as
    they were counted last, and `overtaken` those of them that a door received and that have no
    outcome.
    """

    def __init__(self) -> None:
        self.records = 0
        self.findings: Counter[str] = Counter()
        self.unwritten = ""
        self.away = ""
        self.missing = 0
        self.overtaken = 0

    def took(self, records: list[Record], findings: dict[str, int]) -> None:
        """These records of the stream were taken in, and that was wrong with them."""
        self.records += len(records)
        self.away = ""
        self.wrote()
        self.tell(findings)

    def wrote(self) -> None:
        """The ledger's file can be written."""
        self.unwritten = ""

    def tell(self, findings: dict[str, int]) -> None:
        """Something is wrong with the stream."""
        self.findings.update(findings)
        for kind, count in findings.items():
            log.warning("ledger.finding", kind=kind, count=count, meaning=SENTENCES[kind])

    def cannot_write(self, detail: str) -> None:
        """The ledger's file can't be written; logged once, as long as it is the same."""
        if self.unwritten != detail:
            self.unwritten = detail
            log.error("ledger.not_written", detail=detail)

    def cannot_read(self, error: Exception) -> None:
        """The stream can't be read; logged once, as long as it is the same."""
        detail = _why_away(error)
        if self.away != detail:
            self.away = detail
            log.warning("ledger.stream_away", detail=detail)

    def reads_from(self, offset: int) -> None:
        """The stream is there."""
        self.away = ""
        log.info("ledger.reading", offset=offset)

    def counted(self, missing: int, overtaken: int) -> None:
        """So many events do not add up now, the overtaken ones among them; logged when that
        changes."""
        self.overtaken = overtaken
        if missing != self.missing:
            self.missing = missing
            log.error("ledger.missing", events=missing)

    @property
    def problems(self) -> list[str]:
        """What keeps the ledger from its work."""
        return [one for one in (self.unwritten, self.away) if one]


def _why_away(error: Exception) -> str:
    if isinstance(error, ServerTrouble):
        return str(error)
    if isinstance(error, ChannelNotFoundEntity):
        return _NO_STREAM
    if isinstance(error, ChannelPreconditionFailed):
        return "what has the name of the receipts' stream is another kind of queue"
    return why_unreachable(error)
