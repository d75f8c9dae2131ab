"""How the fleet does now: asked once for all pages and live connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from worker.console.bad_files import bad_files, with_files
from worker.console.banners import Banner, banner_of_away, banners_of
from worker.console.fleet_troubles import Trouble, in_need, troubles_of
from worker.console.fleet_verdict import Verdict, verdict_of
from worker.console.kept_answers import KeptAnswer
from worker.console.ledger_reader import LedgerReader
from worker.console.traffic import KeptTraffic
from worker.console.unseen_withdrawals import unseen_of
from worker.integrations.integration_registry import IntegrationRegistry
from worker.ledger.open_withdrawals import AllOpenWithdrawals
from worker.ledger.overview import Overview, overview
from worker.ledger.trouble import LedgerTrouble, UnusableLedger

_SECONDS: Final = 1.0


class Beat(NamedTuple):
    """How the fleet does at one time; `told` is None while the ledger can't be read."""

    told: Overview | None
    verdict: Verdict
    troubles: Sequence[Trouble]
    banners: Sequence[Banner]

    @property
    def letters(self) -> int:
        """Events that are dead letters now, as far as the ledger knows. Letters of one event count
        once, and those without a receipt not at all.
        """
        return 0 if self.told is None else sum(self.told.dead_letters.values())

    @property
    def in_need(self) -> frozenset[str]:
        """The integrations that need somebody."""
        return in_need(self.troubles)

    @property
    def urgent(self) -> int:
        """How many integrations need somebody: the one number of it that pages tell."""
        return len(self.in_need)

    @property
    def lag_ms(self) -> int | None:
        """How old the stream's last message was when a ledger read it; None where nobody reads."""
        progress = None if self.told is None or not self.told.runs else self.told.progress
        if progress is None or not progress.written_at:
            return None
        return max(0, progress.read_at - progress.written_at)


_AWAY: Final = Verdict(
    "away",
    "The ledger can\u2019t be read.",
    "Delivery isn\u2019t touched by this, and dead letters can still be listed from their queue.",
)


class Pulse:
    """Tells how the fleet does; `beat` is at most a second old."""

    def __init__(
        self,
        ledger: LedgerReader,
        integrations: IntegrationRegistry,
        traffic: KeptTraffic,
        now_ms: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._traffic = traffic
        self._integrations = integrations
        self._now_ms = now_ms
        self._kept = KeptAnswer(self._ask, _SECONDS)

    async def beat(self) -> Beat:
        """How the fleet does. Raises nothing for a ledger that is away."""
        return await self._kept.get()

    def forget(self) -> None:
        """Ask anew how the fleet does for the next beat: something has changed."""
        self._kept.forget()

    async def _ask(self) -> Beat:
        now = self._now_ms()
        try:
            told = await self._ledger.query(overview, now)
            # Who has no dead letter need not be asked about withdrawals among them.
            withdrawals = (
                await self._traffic.open_withdrawals()
                if any(told.dead_letters.values())
                else AllOpenWithdrawals({}, is_part=False)
            )
        except (LedgerTrouble, UnusableLedger) as trouble:
            return Beat(None, _AWAY, (), [banner_of_away(str(trouble))])
        invalid = bad_files(self._integrations)
        troubles = troubles_of(told, invalid, with_files(self._integrations, invalid))
        is_least = unseen_of(told, withdrawals).dead or withdrawals.unread_dead > 0
        verdict = verdict_of(told, troubles, withdrawals.given_up, is_least=is_least)
        return Beat(told, verdict, troubles, banners_of(told))
