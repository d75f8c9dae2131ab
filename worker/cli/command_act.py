"""An act of a command, put on record before anything is done and again when it has ended.

The trail comes first: where it can't be written though receipts are on, nothing is done, unless
somebody says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from worker.broker.act_writer import ActWriter, TrailAway
from worker.cli.act_options import ActOptions
from worker.cli.command_support import complain
from worker.errors import EndsCommand, ServerTrouble
from worker.evidence.act import Act, ActName, ActStage, new_act_id
from worker.interrupt import Interrupted
from worker.moments import now_ms
from worker.settings import WorkerSettings

RECEIPTS_OFF: Final = "this is not on record: CONSENT_WORKER_RECEIPTS is off"


class NotOnRecord(ServerTrouble):
    """An act can't be put on record, so nothing was done, or no more; the text says why, and what
    was done by then or what to do.
    """


def no_counts() -> Mapping[str, int]:
    """The counts of an act that counts nothing."""
    return {}


class CommandAct:
    """An act of a command. `about` says what is done to what, and of no person. `counts` tells how
    far it came, and `parts` what else goes on record with the end. `result` may be set to a
    sentence.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        options: ActOptions,
        name: ActName,
        about: str,
        integration: str = "",
        counts: Callable[[], Mapping[str, int]] = no_counts,
    ) -> None:
        self.is_wanted = settings.receipts != "off"
        """Whether acts are put on record at all."""
        self._options = options
        self._writer = ActWriter(settings, "command-trail", now_ms)
        self._act = Act(
            new_act_id(),
            name,
            "begun",
            options.who,
            "command",
            0,
            integration=integration,
            about=about,
            why=options.why,
        )
        self._counts = counts
        self._is_begun = self._is_passed_over = False
        self.parts: Callable[[], Sequence[Act]] = tuple
        self.result = "done"

    def at(self, stage: ActStage) -> Act:
        """The act as it is at a stage."""
        act = self._act._replace(stage=stage, at=now_ms())
        if stage != "ended":
            return act
        return act._replace(result=self.result, counts=self._counts())

    async def write(self, *acts: Act) -> None:
        """Put more of the act on record, if its beginning is. Raises `TrailAway`."""
        if self._is_begun:
            await self._writer.write(*acts)

    def pass_over(self, trouble: TrailAway) -> None:
        """Go on with an act that could not be put on record, which is told once. Raises `trouble`
        where it may not be done without a record.
        """
        if not self._options.may_be_unrecorded:
            raise trouble
        if not self._is_passed_over:
            complain(f"from here it is not on record: {trouble}")
        self._is_passed_over = True

    @asynccontextmanager
    async def on_record(self) -> AsyncIterator[None]:
        """Put on record that the act begins and how it ends; the block is what is done. Raises
        `NotOnRecord` instead of beginning it.
        """
        await self._begin()
        try:
            yield
        except BaseException as error:
            self.result = _told(error)
            raise
        finally:
            await self._end()

    async def _begin(self) -> None:
        if not self.is_wanted:
            complain(RECEIPTS_OFF)
            return
        try:
            await self._writer.write(self.at("begun"))
            self._is_begun = True
        except TrailAway as trouble:
            if not self._options.may_be_unrecorded:
                raise NotOnRecord(
                    f"{trouble}; so nothing was done. --unrecorded does it without a record"
                ) from None
            complain(f"this is not on record: {trouble}")

    async def _end(self) -> None:
        try:
            await self.write(*self.parts(), self.at("ended"))
        except TrailAway as trouble:
            complain(f"that it began is on record, and its end is not: {trouble}")


def _told(error: BaseException) -> str:
    """What an exception has made of it."""
    if isinstance(error, Interrupted):
        return "stopped"
    if isinstance(error, EndsCommand):
        return f"failed: {error}"
    return f"failed: {type(error).__name__}"
