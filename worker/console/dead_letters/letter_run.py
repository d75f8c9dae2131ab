"""The run of one replay or discard: put on record before anything is done, and again when it has
ended. When the broker goes away it waits, and goes on with what is left. It takes the letters that
the preview has counted, and no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Final, Literal

import structlog

from worker.broker.act_writer import TrailAway
from worker.broker.broker_access import BrokerAway
from worker.console.context import ConsoleContext
from worker.console.dead_letters.act_record import told_act
from worker.console.dead_letters.asked import Asked
from worker.console.dead_letters.letter_act import LetterAct, Stage
from worker.console.dead_letters.previewed_letters import LettersLeft
from worker.console.trail_writer import Trail
from worker.errors import EndsCommand
from worker.evidence.act import Act, ActStage
from worker.interrupt import Interrupted
from worker.ledger.replay_prospects import outcomes_of
from worker.ledger.trouble import LedgerTrouble, UnusableLedger
from worker.letters.letter_desk import Advance, open_desk
from worker.letters.letter_events import OpenedLetter
from worker.letters.letter_work import LetterWork, Watching
from worker.letters.lost_state_guard import LostStateGuard
from worker.letters.named_letters import NamedLetters
from worker.letters.state_epochs import AGAIN

log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 10.0
_LEARN_SECONDS: Final = 1.0
_FOLLOW_SECONDS: Final = 900.0
"""After the end: five retries take up to 300 s, and there may be many letters."""
_NO_SIGNAL: Final = 0


class LetterRun:
    """Does the replay or discard that `act` asks for, and tells in it how far it came."""

    def __init__(self, context: ConsoleContext, trail: Trail, act: LetterAct) -> None:
        self._context = context
        self._trail = trail
        self.act = act
        self._left = LettersLeft(act.asked.previewed, act.keys)
        act.asked = act.asked.confirmed(previewed={})  # many, and the act is remembered for long
        self._act_at: Callable[[ActStage], Act] = lambda stage: told_act(
            act, stage, context.now_ms()
        )
        self._named = NamedLetters(act.keys, self._act_at, trail.write)
        self._go_on = asyncio.Event()
        self._closing = asyncio.Event()
        self._learnt_at = 0.0

    def stop(self, who: str = "") -> None:
        """End the replay or discard after what is in hand. `who` has asked for it, "" where the
        console ends.
        """
        if not self.act.stop.is_asked:
            self.act.stopped_by = who
        self.act.stop.ask(_NO_SIGNAL)
        self._go_on.set()

    def close(self) -> None:
        """End the replay or discard as `stop` does, and follow nothing any longer."""
        if not self.act.is_over:
            self.stop()
        self._closing.set()

    def go_on(self) -> None:
        """Try the broker again for the act now, and not only after the pause."""
        self._go_on.set()

    async def learn(self) -> None:
        """Ask receipts what became of the replayed events; once a second is enough."""
        fates, now = self.act.fates, asyncio.get_running_loop().time()
        if not fates.open or now - self._learnt_at < _LEARN_SECONDS:
            return
        self._learnt_at = now
        with suppress(LedgerTrouble, UnusableLedger):
            fates.learn(await self._context.query(outcomes_of, set(fates.open)))

    async def run(self) -> None:
        """All of a replay or a discard. Raises nothing: what goes wrong stands in the act."""
        act = self.act
        try:
            await self._trail.write(self._act_at("begun"))
            ended = await self._work()
            self._end(ended, "" if act.verdict is None else act.verdict.trouble)
        except EndsCommand as trouble:
            self._end("failed", str(trouble))
        except Exception as error:
            log.error("console.act_failed", error=type(error).__name__)
            self._end("failed", f"a fault of the console ({type(error).__name__})")
        finally:
            act.finish_work()
            self._trail.note(*self._named.parts(), self._act_at("ended"))
        await self._follow()

    async def _follow(self) -> None:
        """Put on record again how it ended, once it is known what became of the events."""
        before = self.act.counts()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FOLLOW_SECONDS):
                while self.act.fates.open and not self._closing.is_set():
                    await self.learn()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._closing.wait(), _LEARN_SECONDS)
        if self.act.counts() != before:
            self._trail.note(self._act_at("ended"))

    async def _work(self) -> Stage:
        """Canaries first, then withdrawals, then all others."""
        act, asked = self.act, self.act.asked
        if asked.chosen_canaries and act.is_replay:
            await self._one_work(asked, asked.chosen_canaries)
            asked = asked if act.verdict is None else asked.without_canaries()
        if asked.first_keys and act.is_replay and not act.must_end:
            await self._one_work(asked, asked.first_keys)
            asked = asked if act.verdict is None else asked.without_canaries()
        if not act.must_end:
            await self._one_work(asked, None)
        return "stopped" if act.must_end else "done"

    async def _one_work(self, asked: Asked, keys: frozenset[bytes] | None) -> None:
        """All that is left of it, however often the broker goes away."""
        act, pause, work = self.act, _FIRST_PAUSE_SECONDS, None
        while not act.must_end:  # also where the line was lost behind a verdict
            try:
                if work is None:
                    work = act.work = await self._new_work(asked, keys)
                await self._at_desk(work)
                break
            except (BrokerAway, TrailAway) as trouble:
                self._note_away(str(trouble).removesuffix(AGAIN))
                await self._rest(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except Interrupted:
                break
        act.finish_work(met_all=keys is None and not act.must_end)

    async def _new_work(self, asked: Asked, keys: frozenset[bytes] | None) -> LetterWork:
        act, settings = self.act, self._context.settings
        guard = LostStateGuard.off()
        if act.is_replay:
            guard = await LostStateGuard.of(settings, is_off=asked.after_state_loss)
        note = act.note_replayed if act.is_replay else self._named.note_gone

        def handled(opened: OpenedLetter) -> None:
            self._left.settle(opened)
            note(opened)

        watching = Watching(
            lambda event: self._left.claim(event, keys),
            handled,
            self._is_clear,
            None if act.is_replay else self._named.go_next,
            self._named.note_kept,
            self._left.begin_pass,
        )
        return LetterWork(asked.handling(), guard, settings.max_event_bytes, watching)

    async def _at_desk(self, work: LetterWork) -> None:
        act = self.act

        @contextmanager
        def bar(verb: str, total: int) -> Iterator[Advance]:
            stage: Literal["canary", "rest"] = "canary" if verb == "searched" else "rest"
            act.begin_pass(stage, total, self._context.now_ms())

            def advance() -> None:
                act.seen += 1

            yield advance

        settings, stopping = self._context.settings, nullcontext(act.stop)
        async with open_desk(settings, stopping, act.note_broker, work.so_far, bar) as desk:
            act.note_broker()
            await work.run(desk)

    async def _is_clear(self) -> bool:
        """Whether receipts say of the canaries that all is well: then nothing is to be waited
        for.
        """
        await self.learn()
        return self.act.fates.are_clear

    def _note_away(self, said: str) -> None:
        act = self.act
        if act.away_since is None:
            act.away_since = self._context.now_ms()
        act.stage, act.said = "away", said
        act.tries += 1

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._go_on.wait()
        self._go_on.clear()

    def _end(self, stage: Stage, said: str) -> None:
        self.act.stage, self.act.said = stage, said
        self.act.ended_at = self._context.now_ms()
