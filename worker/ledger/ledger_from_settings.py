"""The ledger that the settings ask for; the command and the console both run one."""

from __future__ import annotations

from typing import NamedTuple

from worker.broker.chain_writer import ChainWriter
from worker.broker.queue_names import Names
from worker.broker.session_settings import address_of
from worker.evidence.chain import Chain, process_name
from worker.evidence.signing import Keyring
from worker.ledger.anchoring import Anchoring
from worker.ledger.database import Database
from worker.ledger.reading_loop import Reading
from worker.ledger.reading_report import ReadingReport
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.stream_batches import RecordFeed
from worker.ledger.upkeep import Upkeep
from worker.ledger.write_turns import WriteTurns
from worker.settings import UnusableSetting, WorkerSettings

_DAY_SECONDS = 86_400


def ledger_url(settings: WorkerSettings) -> str:
    """The URL of the ledger. Raises `UnusableSetting` where none is set."""
    url = settings.ledger_url.get_secret_value()
    if not url:
        raise UnusableSetting(
            "setting CONSENT_WORKER_LEDGER_URL: is not set, so there is no ledger to look into; "
            "set it as for `consent-worker ledger`"
        )
    return url


def keyring_of(settings: WorkerSettings) -> Keyring:
    """The secrets by which receipts are, or were, signed."""
    both = settings.receipts_secret, settings.receipts_secret_previous
    return Keyring(one.get_secret_value().encode() for one in both if one is not None)


class LedgerParts(NamedTuple):
    """What reads the stream into a ledger, and what works beside it."""

    reading: Reading
    upkeep: Upkeep
    taking_in: TakingIn
    turns: WriteTurns
    report: ReadingReport


def build_ledger(
    settings: WorkerSettings, database: Database, *, once: bool = False
) -> LedgerParts:
    """The parts of a ledger for `database`, which is open for writing and of this version."""
    secret = settings.receipts_secret.get_secret_value().encode()
    address, queue = address_of(settings), Names(settings.namespace).receipts
    writer = ChainWriter(address, "ledger-anchors", queue, Chain(process_name(), secret))
    turns, report = WriteTurns(database), ReadingReport()
    retention_seconds = settings.receipts_retention_days * _DAY_SECONDS
    upkeep = Upkeep(turns, report, None if once else Anchoring(writer), retention_seconds)
    taking_in = TakingIn(database, keyring_of(settings))
    reading = Reading(
        turns, taking_in, lambda: RecordFeed(address, queue), upkeep, report, once=once
    )
    return LedgerParts(reading, upkeep, taking_in, turns, report)
