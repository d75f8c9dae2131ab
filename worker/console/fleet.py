"""Gathers what is known of the integrations: of their files, their lanes and their receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from worker.console.bad_files import bad_files
from worker.console.fleet_lanes import lanes_of
from worker.console.integration_rows import FileFacts, IntegrationRow, Known, row_of, rows_of
from worker.console.kept_answers import KeptAnswer
from worker.console.periods import PERIODS, Period
from worker.console.pulse import Beat
from worker.console.traffic import KeptTraffic
from worker.console.unseen_withdrawals import unseen_of
from worker.integrations.integration_registry import IntegrationRegistry
from worker.ledger.trouble import LedgerTrouble

_FILES_SECONDS: Final = 2.0


class Fleet:
    """What is known of the integrations of a directory; `traffic` tells of their receipts. `now_ms`
    is the time in ms since 1970.
    """

    def __init__(
        self,
        integrations: IntegrationRegistry,
        traffic: KeptTraffic,
        now_ms: Callable[[], int],
    ) -> None:
        self._now_ms = now_ms
        self._integrations = integrations
        self._traffic = traffic
        self._files = KeptAnswer(self._read_files, _FILES_SECONDS)

    async def rows(self, beat: Beat, period: Period) -> list[IntegrationRow]:
        """A row for each integration, worst first. Raises `LedgerTrouble` and `UnusableLedger`,
        also while the counts are still kept: rows without lanes would say that all is well.
        """
        return await asyncio.to_thread(rows_of, await self._known(beat, period))

    async def row(self, beat: Beat, period: Period, integration: str) -> IntegrationRow | None:
        """The row of one integration; None where nobody knows it. Raises as `rows` does."""
        known = await self._known(beat, period)
        if integration not in {*known.files, *known.lanes, *known.shares} or not integration:
            return None
        return row_of(integration, known)

    async def _known(self, beat: Beat, period: Period) -> Known:
        told, now = beat.told, self._now_ms()
        if told is None:
            raise LedgerTrouble("the ledger can't be read now")
        withdrawals = await self._traffic.open_withdrawals()
        return Known(
            files=await self._files.get(),
            lanes=lanes_of(told),
            shares=told.conservation.shares,
            letters=told.dead_letters,
            withdrawals=withdrawals.by_integration,
            counts=await self._traffic.rates(period),
            lately=await self._traffic.rates(PERIODS[0]),
            slots=period.slots(now),
            now_ms=now,
            reads_files=bool(self._integrations.known_ids),
            in_need=beat.in_need,
            unseen=unseen_of(told, withdrawals),
        )

    async def _read_files(self) -> Mapping[str, FileFacts]:
        return await asyncio.to_thread(file_facts, self._integrations)


def file_facts(integrations: IntegrationRegistry) -> dict[str, FileFacts]:
    """What the files of integrations say, by id; of a bad one without an id by its name."""
    bad = bad_files(integrations)
    found = {
        one.id: FileFacts(
            one.organization_id,
            one.state,
            one.version,
            changed_at(integrations, one.id),
            bad[one.id].why if one.id in bad else "",
            one.id in bad and bad[one.id].lacks_secrets,
        )
        for one in integrations.integrations
    }
    for name, file in bad.items():
        facts = FileFacts(file.organization, "enabled", "", None, file.why, file.lacks_secrets)
        found.setdefault(name, facts)
    return found


def changed_at(integrations: IntegrationRegistry, integration: str) -> int | None:
    """When an integration's file was written, in ms since 1970; None where that can't be told."""
    path = integrations.file_of(integration)
    with suppress(OSError):
        return None if path is None else int(path.stat().st_mtime * 1000)
    return None
