"""Replaying and discarding, in as many passes over the letters as it needs: canaries first, if
there are any, and then every chosen event, those of a lost state not unasked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from worker.broker.bounded_tasks import InFlight
from worker.broker.dead_letter_queue import DeadLetters, NotReplayed
from worker.evidence.act import MOST_LIVES
from worker.letters.canary import Canaries
from worker.letters.letter_act_request import Handling
from worker.letters.letter_desk import LetterDesk, Pass
from worker.letters.letter_events import LetterEvent, OpenedLetter
from worker.letters.letter_tally import Tally
from worker.letters.lost_state_guard import LostStateGuard
from worker.letters.replay_pace import ReplayPace
from worker.wire.connecting import is_connection_error

_AT_ONCE: Final = 100
_NAMED_TOGETHER: Final = MOST_LIVES
"""Events that are named before any of them goes: what a killed discard leaves in doubt."""
_HELD_BYTES: Final = 16 * 1024 * 1024
"""Bodies of letters that wait to be named or to count, or that are canaries."""


def _as_it_is(opened: OpenedLetter) -> OpenedLetter:
    return opened


def _are_enough(waiting: Sequence[OpenedLetter]) -> bool:
    """Whether no more letters are to wait: by their events, or by their bodies."""
    events = sum(len(one.chosen) for one in waiting)
    return events >= _NAMED_TOGETHER or sum(len(one.message.body) for one in waiting) >= _HELD_BYTES


async def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Watching:
    """How somebody takes part in a replay or discard: `is_meant` chooses among the letters that are
    asked for, `handled` is told of each letter that was replayed or discarded and `kept` of each
    that could not be, and `is_clear` says of the canaries that they need not be waited for any
    longer. `go_next` is told of some letters before any of them is touched; what it raises keeps
    them. `begin_pass` is called before letters are read anew.
    """

    is_meant: Callable[[LetterEvent], bool] = lambda event: True
    handled: Callable[[OpenedLetter], None] = lambda opened: None
    is_clear: Callable[[], Awaitable[bool]] = _never
    go_next: Callable[[Sequence[OpenedLetter]], Awaitable[None]] | None = None
    kept: Callable[[OpenedLetter], None] = lambda opened: None
    begin_pass: Callable[[], None] = lambda: None


class LetterWork:
    """One replay or discard of dead letters. `guard` counts letters of a lost state, which stay.
    After the broker was lost it may be run again, and goes on.
    """

    def __init__(
        self,
        asked: Handling,
        guard: LostStateGuard,
        max_event_bytes: int,
        watching: Watching | None = None,
    ) -> None:
        self.tally = Tally()
        self._watching = watching or Watching()
        self.guard = guard
        self._asked = asked
        self._max_event_bytes = max_event_bytes
        self._pace = ReplayPace(asked.rate)
        self._settled = 0
        self._to_name: list[OpenedLetter] = []
        self._discarded: list[OpenedLetter] = []
        """Those of which the broker may not have heard yet."""

    async def run(self, desk: LetterDesk) -> Pass:
        """Do the replay or discard; gives the last pass."""
        left: int | None = None
        settled_before = self._settled
        if self._asked.canaries and self.tally.verdict is None and not self._asked.dry_run:
            run = await self._send_canaries(desk)
            verdict = self.tally.verdict
            if run.stop.is_asked or (verdict is not None and verdict.trouble):
                return run
            # What has come during the wait stands behind.
            left = run.total - (self._settled - settled_before)
        while True:
            run, left = await self._one_pass(desk, left)
            if not left:
                return run

    async def _send_canaries(self, desk: LetterDesk) -> Pass:
        first: list[OpenedLetter] = []
        chosen, found, size = self._asked.chosen, 0, 0

        def take(opened: OpenedLetter) -> OpenedLetter | None:
            nonlocal found, size
            if found >= self._asked.canaries or size >= _HELD_BYTES:
                return None
            free = self._free(opened)
            if not free.chosen or free.replay_refusal(self._max_event_bytes):
                return None
            found += len(free.chosen)
            size += len(free.message.body)
            return free

        await self.guard.begin_pass()
        self._watching.begin_pass()
        async with desk.one_pass("searched") as run:
            async for opened in run.matching(chosen, take, self._watching.is_meant):
                first.append(opened)
            if first and not run.stop.is_asked:
                canaries = Canaries(run.letters, first)
                verdict = await canaries.judge(
                    lambda opened: self._handle_one(run.letters, opened),
                    self._asked.wait_seconds,
                    run.stop,
                    self._watching.is_clear,
                )
                self.tally.verdict = verdict
                self.tally.begin_pass()
        self.guard.held_back = 0
        return run

    async def _one_pass(self, desk: LetterDesk, most: int | None) -> tuple[Pass, int]:
        """A pass over the first `most` letters, and how many of these another one has to see."""
        self.tally.begin_pass()
        await self._pace.begin_pass(desk.stop)
        await self.guard.begin_pass()
        self._discarded.clear()
        self._watching.begin_pass()
        in_flight = InFlight(_AT_ONCE)
        settled_before = self._settled
        chosen, is_over = self._asked.chosen, True
        async with desk.one_pass(self._asked.verb, most=most) as run:
            try:
                async for opened in run.matching(chosen, _as_it_is, self._watching.is_meant):
                    if self._pace.is_to_give_back:
                        is_over = False
                        break
                    self.tally.matched += len(opened.chosen)
                    free = self._free(opened)
                    if not free.chosen or self._refuses(free) or self._asked.dry_run:
                        continue
                    if not await self._pace.turn(len(free.chosen), run.stop):
                        break
                    await self._take(run, in_flight, free)
                if not run.stop.is_asked:
                    await self._take_named(run, in_flight)
                await self._take_in(run, in_flight)
            finally:
                self._to_name.clear()
                await in_flight.drain()
        return run, 0 if is_over else run.total - (self._settled - settled_before)

    async def _take(self, run: Pass, in_flight: InFlight, opened: OpenedLetter) -> None:
        if self._watching.go_next is None:
            await in_flight.add(self._handled(run.letters, opened))
            if _are_enough(self._discarded):
                await self._take_in(run, in_flight)
            return
        self._to_name.append(opened)
        if _are_enough(self._to_name):
            await self._take_named(run, in_flight)

    async def _take_named(self, run: Pass, in_flight: InFlight) -> None:
        """Name what was gathered, and handle it then."""
        named, self._to_name = self._to_name, []
        await self._take_in(run, in_flight)
        if named and self._watching.go_next is not None:
            await self._watching.go_next(named)
        for opened in named:
            await in_flight.add(self._handled(run.letters, opened))

    async def _take_in(self, run: Pass, in_flight: InFlight) -> None:
        """What was discarded counts from when the broker must have heard of it: what it has not is
        back in the queue when the connection is lost.
        """
        await in_flight.drain()
        if self._discarded:
            await run.letters.take_in()
        discarded, self._discarded = self._discarded, []
        for opened in discarded:
            self._count(opened)

    def _count(self, opened: OpenedLetter) -> None:
        self._settled += 1
        self.tally.handled += len(opened.chosen)
        self._watching.handled(opened)

    def _refuses(self, opened: OpenedLetter) -> bool:
        """Whether a letter stays, before it has had a turn that another one could have."""
        if self._asked.verb != "replayed":
            return False
        problem = opened.replay_refusal(self._max_event_bytes)
        if problem:
            self._keep(opened, problem)
        return bool(problem)

    def _keep(self, opened: OpenedLetter, problem: str) -> None:
        self.tally.keep(opened, problem)
        self._watching.kept(opened)

    def _free(self, opened: OpenedLetter) -> OpenedLetter:
        """`opened` with those alone chosen that are of no lost state."""
        return opened.only_of_chosen(lambda event: not self.guard.holds_back(event.letter))

    async def _handled(self, letters: DeadLetters, opened: OpenedLetter) -> None:
        if problem := await self._handle_one(letters, opened):
            self._keep(opened, problem)

    async def _handle_one(self, letters: DeadLetters, opened: OpenedLetter) -> str:
        """Why the letter stays; "" when it was replayed or discarded. Raises what the broker
        answers.
        """
        try:
            if self._asked.verb == "replayed":
                await opened.replay(letters, self._max_event_bytes, self.guard.epoch)
                self._count(opened)
            else:
                await opened.discard(letters)
                self._discarded.append(opened)
        except NotReplayed as error:
            return str(error)
        except Exception as error:  # of one letter, unless it is the broker's
            if is_connection_error(error):
                raise
            return f"{type(error).__name__}; export it, and report this"
        return ""

    def so_far(self) -> str:
        """What the replay or discard did by now, where it could have done anything."""
        if self._asked.dry_run:
            return ""
        return f"{self._asked.verb} {self.tally.handled}, and the rest stays in the dead letters"
