"""Endpoints without TLS, or in private networks, are never allowed in silence."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.types import EventDict

from tests.unit.console.console_parts import settings_of
from worker.adobe.endpoints import INSECURE
from worker.broker.topology import build_topology
from worker.console.process import Console
from worker.ledger.database import Database
from worker.ledger.ledger_from_settings import ledger_url
from worker.ledger.migrations import upgrade
from worker.service.process import tell_of_settings
from worker.service.readiness import notes
from worker.service.registry_from_settings import build_registry
from worker.service.running_parts import Parts
from worker.settings import WorkerSettings

BOTH = pytest.mark.parametrize("is_insecure", [False, True])


@BOTH
def test_a_worker_notes_it_for_as_long_as_it_is_so(is_insecure: bool, tmp_path: Path) -> None:
    settings = WorkerSettings(allow_insecure=is_insecure, integrations=tmp_path)
    topology = build_topology(settings.namespace, settings.delay, settings.delivery_limit)
    parts = Parts(settings, build_registry(settings), topology)
    assert (INSECURE in notes(parts)) is is_insecure


@BOTH
def test_a_worker_warns_of_it_at_its_start(is_insecure: bool) -> None:
    with capture_logs() as lines:
        tell_of_settings(WorkerSettings(allow_insecure=is_insecure))
    _are_told(lines, is_insecure)


@BOTH
async def test_a_console_warns_of_it_at_its_start(is_insecure: bool, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, allow_insecure=is_insecure, console_port=0)
    with closing(Database(ledger_url(settings), writes=True)) as database:
        upgrade(database)
    console = Console(settings, runs_ledger=False)
    with capture_logs() as lines:
        await console.start()
        await console.stop()
    _are_told(lines, is_insecure)


def _are_told(lines: list[EventDict], is_insecure: bool) -> None:
    told = [one for one in lines if one["event"] == "settings.insecure"]
    assert [(one["log_level"], one["detail"]) for one in told] == [
        ("warning", INSECURE)
    ] * is_insecure
