"""Checks set-ups at Adobe beside delivery: at the start, and when integrations change. Stops
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from worker.adobe.attempt import AdobeClient
from worker.adobe.check.check_integration import check_integration
from worker.adobe.check.report_lines import Line, worst
from worker.integrations.model import Integration
from worker.shortened_lists import first

log = structlog.get_logger(__name__)

AT_ONCE: Final = 4
"""Integrations that are checked at the same time: Adobe's limits of these reads are not known."""
AGAIN_SECONDS: Final = 900.0
"""After which what was wrong is looked at again: it is mended at Adobe, where nobody tells us."""


class SetUpWatch:
    """Checks the set-ups of integrations at Adobe. `find` gives the integration of an id that is in
    force and enabled, or None.
    """

    def __init__(
        self,
        client: AdobeClient,
        find: Callable[[str], Integration | None],
        *,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._client = client
        self._find = find
        self._again_seconds = again_seconds
        self._waiting: dict[str, None] = {}
        self._asked = asyncio.Event()
        self._wrong: dict[str, tuple[tuple[str, ...], Integration]] = {}

    @property
    def notes(self) -> list[str]:
        """What is wrong with set-ups at Adobe, by names of checks alone: anybody may read it."""
        wrong = (
            f"integration {one}: its set-up at Adobe is wrong ({', '.join(checks)}); "
            f"`consent-worker integrations check {one}` says what to change"
            for one, (checks, _) in sorted(self._wrong.items())
            if self._find(one) is not None
        )
        return first(wrong, "more integrations whose set-up at Adobe is wrong")

    def ask(self, integration_ids: Iterable[str]) -> None:
        """Have the set-ups of these integrations checked, soon."""
        self._waiting.update(dict.fromkeys(integration_ids))
        self._asked.set()

    async def run(self) -> None:
        """Check the set-ups that are asked for, for ever."""
        workers = [asyncio.create_task(self._work()) for _ in range(AT_ONCE)]
        try:
            while True:
                await asyncio.sleep(self._again_seconds)
                self.ask(self._wrong)
        finally:
            for one in workers:
                one.cancel()

    async def _work(self) -> None:
        while True:
            await self._asked.wait()
            if not self._waiting:
                self._asked.clear()
                continue
            integration_id = next(iter(self._waiting))
            del self._waiting[integration_id]
            try:
                await self._check(integration_id)
            except Exception as error:  # a fault of ours must not end the watch
                detail = type(error).__name__
                log.error("integration.setup_unchecked", integration=integration_id, detail=detail)

    async def _check(self, integration_id: str) -> None:
        integration = self._find(integration_id)
        if integration is None:
            self._wrong.pop(integration_id, None)
            return
        lines = await check_integration(self._client, integration)
        if self._find(integration_id) is not integration:
            return  # changed meanwhile, and asked for again
        before, of_then = self._wrong.pop(integration_id, ((), integration))
        checks = _checks(lines, "wrong")
        kept = _unrefuted(before, lines, is_same=of_then == integration)
        if known := tuple(dict.fromkeys(checks + kept)):
            self._wrong[integration_id] = known, integration
        if checks:
            log.warning(
                "integration.setup_wrong",
                integration=integration_id,
                checks=checks,
                detail="`consent-worker integrations check` says what to change",
            )
            return
        log.info(
            "integration.setup_checked",
            integration=integration_id,
            verdict=worst(lines),
            unclear=_checks(lines, "unclear"),
        )


def _unrefuted(before: Iterable[str], lines: Sequence[Line], *, is_same: bool) -> tuple[str, ...]:
    """Those checks that were wrong `before` and that `lines` do not tell to be right: Adobe did not
    answer, or the question was not reached. Of a changed integration (not `is_same`) a check
    without a line may be none any more.
    """
    judged = {one.check for one in lines}
    doubtful = _checks(lines, "unclear")
    return tuple(
        one for one in before if one in doubtful or (one not in judged and doubtful and is_same)
    )


def _checks(lines: Iterable[Line], verdict: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.check for one in lines if one.verdict == verdict))
