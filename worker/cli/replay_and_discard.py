"""Replaying and discarding: each chosen event is handled, those of a lost state not unasked, and
what became of all is told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Literal, Self

import typer

from worker.broker.bounded_tasks import InFlight
from worker.broker.dead_letter_queue import DeadLetters, NotReplayed
from worker.broker.letter_selection import DeadLetter, Filter
from worker.cli.command_support import complain, print_json, say
from worker.cli.dead_letter_pass import one_pass
from worker.cli.interrupt import Stop
from worker.cli.letter_events import OpenedLetter
from worker.cli.state import epochs_of
from worker.cli.terminal import shown
from worker.settings import WorkerSettings
from worker.wire.connecting import is_connection_error

_RUNBOOK: Final = "docs/runbooks/state-lost.md"
_LOST: Final = (
    "of before the state was lost: nobody knows what was sent since, so an older choice can "
    f"replace a newer one. See {_RUNBOOK}; --after-state-loss replays them"
)
_UNKNOWN: Final = (
    "of which this command can't tell whether the state still knows what was sent since: set "
    "CONSENT_WORKER_STATE_URL as for the workers. Where that was lost, see "
    f"{_RUNBOOK}; --after-state-loss replays them"
)


class LostStateGuard:
    """Holds back letters of another epoch than `epoch`, that of the store, and counts them.
    `is_known`: the store could be asked; `is_off`: the operator wants them replayed all the same.
    """

    def __init__(self, epoch: str | None, *, is_known: bool, is_off: bool) -> None:
        self.epoch = epoch
        self._is_known = is_known
        self._is_off = is_off
        self.held_back = 0

    @classmethod
    async def of(cls, settings: WorkerSettings, *, is_off: bool) -> Self:
        """That of the workers' store. Raises `BrokerAway` and `UnusableSetting`."""
        async with epochs_of(settings) as epochs:
            found = await epochs.read() if epochs is not None else None
            present = found.present if found is not None else None
            return cls(present, is_known=epochs is not None, is_off=is_off)

    def holds_back(self, letter: DeadLetter) -> bool:
        """Whether the letter is to stay, which is counted. One without an epoch never is: a worker
        without Redis has written it, or one of a version before.
        """
        is_held = not self._is_off and letter.epoch is not None and letter.epoch != self.epoch
        self.held_back += is_held
        return is_held

    @property
    def reason(self) -> str:
        """Why those are held back, after their number."""
        return _LOST if self._is_known else _UNKNOWN


_AT_ONCE: Final = 100
_NAMED_AT_MOST: Final = 20

Verb = Literal["replayed", "discarded"]


@dataclass(slots=True)
class _Tally:
    """What became of those that were chosen; `kept` names some of those not handled, and why;
    `guard` counts those of a lost state.
    """

    guard: LostStateGuard
    matched: int = 0
    handled: int = 0
    kept_count: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)

    def keep(self, opened: OpenedLetter, reason: str) -> None:
        self.kept_count += len(opened.chosen)
        for event in opened.chosen[: _NAMED_AT_MOST - len(self.kept)]:
            self.kept.append((event.letter.id, reason))


def handle(
    verb: Verb, chosen: Filter, dry_run: bool, as_json: bool, after_state_loss: bool = True
) -> None:
    """Replay or discard what is chosen, and say what became of it. Raises `typer.Exit` where
    something was kept or is not there.
    """
    stop, tally = asyncio.run(_handle_each(verb, chosen, dry_run, after_state_loss))
    held_back = tally.guard.held_back
    if as_json:
        report = {
            verb: tally.handled,
            "matched": tally.matched,
            "kept": tally.kept_count + held_back,
            "dry_run": dry_run,
        }
        print_json(report | ({"of_lost_state": held_back} if verb == "replayed" else {}))
    else:
        would = f"would have {verb} {tally.matched - held_back}"
        say(would if dry_run else f"{verb} {tally.handled}")
    if held_back:
        complain(f"not {verb}, and kept: {held_back} {tally.guard.reason}")
    for letter_id, reason in tally.kept:
        complain(f"not {verb}, and kept: {shown(letter_id)}: {reason}")
    if unnamed := tally.kept_count - len(tally.kept):
        complain(f"not {verb}, and kept: {unnamed} more")
    stop.check("what was not handled stays in the dead letters")
    if chosen.id is not None and not tally.matched:
        not_there(chosen.id)
    if tally.kept_count or (held_back and not dry_run):
        raise typer.Exit(1)


def not_there(letter_id: str) -> None:
    """Say that no letter has this id. Raises `typer.Exit`."""
    say(f"no dead letter has the id {shown(letter_id)}")
    raise typer.Exit(1)


async def _handle_each(
    verb: Verb, chosen: Filter, dry_run: bool, after_state_loss: bool
) -> tuple[Stop, _Tally]:
    """What became of those chosen, each of which is handled unless `dry_run`."""
    settings = WorkerSettings()
    guard = await _guard(settings, verb, after_state_loss)
    tally = _Tally(guard)
    in_flight = InFlight(_AT_ONCE)

    async def handle_one(letters: DeadLetters, opened: OpenedLetter) -> None:
        try:
            if verb == "replayed":
                await opened.replay(letters, settings.max_event_bytes, guard.epoch)
            else:
                await opened.discard(letters)
        except NotReplayed as error:
            tally.keep(opened, str(error))
        except Exception as error:  # of one letter, unless it is the broker's
            if is_connection_error(error):
                raise
            tally.keep(opened, f"{type(error).__name__}; export it, and report this")
        else:
            tally.handled += len(opened.chosen)

    def so_far() -> str:
        return "" if dry_run else f"{verb} {tally.handled}, and the rest stays in the dead letters"

    async with one_pass(verb, so_far=so_far) as run:
        try:
            async for opened in run.matching(chosen):
                tally.matched += len(opened.chosen)
                free = opened.only_of_chosen(lambda event: not guard.holds_back(event.letter))
                if free.chosen and not dry_run:
                    await in_flight.add(handle_one(run.letters, free))
        finally:
            await in_flight.drain()
    return run.stop, tally


async def _guard(settings: WorkerSettings, verb: Verb, after_state_loss: bool) -> LostStateGuard:
    """What holds back letters of a lost state, which concerns none that is not replayed."""
    if verb != "replayed":
        return LostStateGuard(None, is_known=False, is_off=True)
    return await LostStateGuard.of(settings, is_off=after_state_loss)
