"""Replays and discards, one at a time, and the last of them that have ended.

An act belongs to the process and to no browser: who closes the page changes nothing, and everybody
sees the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from worker.console.context import ConsoleContext
from worker.console.dead_letters.asked import Asked
from worker.console.dead_letters.letter_act import LetterAct
from worker.console.dead_letters.letter_run import LetterRun
from worker.console.sessions import Session
from worker.console.trail_writer import Trail

_REMEMBERED: Final = 20


class ActRuns(Exception):
    """Another act on dead letters runs, and one after the other is enough."""

    def __init__(self, act: LetterAct) -> None:
        super().__init__(act.id)
        self.act = act


class LetterActs:
    """The replays and discards of this console; `trail` is where each of them is put on record."""

    def __init__(self, context: ConsoleContext, trail: Trail) -> None:
        self._context = context
        self._trail = trail
        self._runs: deque[LetterRun] = deque(maxlen=_REMEMBERED)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> LetterAct | None:
        """The replay or discard that runs now."""
        return next((one.act for one in self._runs if not one.act.is_over), None)

    @property
    def past(self) -> list[LetterAct]:
        """The replays and discards that have ended since the console runs, the latest first."""
        return [one.act for one in self._runs if one.act.is_over]

    def find(self, act_id: str) -> LetterRun | None:
        """The run of the replay or discard with this id, if it is remembered."""
        return next((one for one in self._runs if one.act.id == act_id), None)

    def check_free(self) -> None:
        """Raises `ActRuns` while a replay or a discard runs."""
        if (running := self.running) is not None:
            raise ActRuns(running)

    def begin(self, asked: Asked, session: Session, act_id: str) -> LetterAct:
        """Start a replay or a discard. Raises `ActRuns`."""
        self.check_free()
        now_ms = self._context.now_ms()
        keys = self._context.letter_keys
        act = LetterAct(act_id, asked, session.name, session.role.word, now_ms, keys)
        run = LetterRun(self._context, self._trail, act)
        self._runs.appendleft(run)
        task = asyncio.create_task(run.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return act

    async def close(self) -> None:
        """Stop the replay or discard that runs, and wait until it has ended."""
        for one in self._runs:
            one.close()
        await asyncio.gather(*self._tasks)
