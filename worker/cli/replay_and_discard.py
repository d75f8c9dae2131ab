"""`dead-letters replay` and `discard`: what became of the letters is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import typer

from worker.broker.act_writer import TrailAway
from worker.broker.letter_filter import Filter
from worker.cli.act_options import ActOptions
from worker.cli.command_act import CommandAct, NotOnRecord
from worker.cli.command_support import complain, print_json, say
from worker.cli.dead_letter_pass import letter_desk
from worker.cli.letter_listing import not_there
from worker.cli.mistyped_integration import check_spelling
from worker.cli.terminal import shown
from worker.letters.letter_act_request import Handling, words_of_work
from worker.letters.letter_desk import Pass
from worker.letters.letter_events import OpenedLetter
from worker.letters.letter_key import LetterKeys
from worker.letters.letter_work import LetterWork, Watching
from worker.letters.lost_state_guard import LostStateGuard
from worker.letters.named_letters import NamedLetters
from worker.moments import told_span
from worker.settings import WorkerSettings
from worker.store_choice import user_keys


def handle(asked: Handling, said: ActOptions, as_json: bool) -> None:
    """Replay or discard the chosen dead letters, and say what became of them. Raises `typer.Exit`
    where something was kept or is not there.
    """
    work, run = asyncio.run(_work(asked, said))
    tally, held_back = work.tally, work.guard.held_back
    if as_json:
        print_json(_report(asked, work))
    else:
        _tell(asked, work)
    if held_back:
        complain(f"not {asked.verb}, and kept: {held_back} {work.guard.reason}")
    for letter_id, reason in tally.kept:
        complain(f"not {asked.verb}, and kept: {shown(letter_id)}: {reason}")
    if unnamed := tally.kept_count - len(tally.kept):
        complain(f"not {asked.verb}, and kept: {unnamed} more")
    run.stop.check("what was not handled stays in the dead letters")
    if not tally.matched:
        _check_what_is_not_there(asked, run)
    has_failed = tally.verdict is not None and tally.verdict.trouble
    if has_failed:
        complain(f"the canaries failed, and the others stay: {has_failed}")
    if has_failed or ((tally.kept_count or held_back) and not asked.dry_run):
        raise typer.Exit(1)


async def _work(asked: Handling, said: ActOptions) -> tuple[LetterWork, Pass]:
    settings = WorkerSettings()
    guard = LostStateGuard.off()
    if asked.verb == "replayed":
        guard = await LostStateGuard.of(settings, is_off=asked.after_state_loss)
    if asked.dry_run:
        work = LetterWork(asked, guard, settings.max_event_bytes)
        async with letter_desk(work.so_far) as desk:
            return work, await work.run(desk)
    about, integration = words_of_work(asked), asked.chosen.integration or ""
    act = CommandAct(settings, said, asked.verb, about, integration, lambda: _counts(asked, work))
    watching = Watching()
    if asked.verb == "discarded" and act.is_wanted:
        named = NamedLetters(LetterKeys(user_keys(settings)), act.at, act.write)
        watching = _naming(named, act)
        act.parts = named.parts
    work = LetterWork(asked, guard, settings.max_event_bytes, watching)
    try:
        async with letter_desk(work.so_far) as desk, act.on_record():
            run = await work.run(desk)
            act.result = _result(work, run)
            return work, run
    except TrailAway as trouble:
        raise NotOnRecord(f"{trouble}; {work.so_far()}") from None


def _naming(named: NamedLetters, act: CommandAct) -> Watching:
    """Letters stay that can't be named, unless they may go without a record: then they are named
    once that is possible.
    """

    async def go_next(letters: Sequence[OpenedLetter]) -> None:
        try:
            await named.go_next(letters)
        except TrailAway as trouble:
            act.pass_over(trouble)

    return Watching(handled=named.note_gone, go_next=go_next, kept=named.note_kept)


def _counts(asked: Handling, work: LetterWork) -> dict[str, int]:
    tally, held_back = work.tally, work.guard.held_back
    said = {"letters": tally.matched, asked.verb: tally.handled}
    return said | {"kept": tally.kept_count, "held_back": held_back}


def _result(work: LetterWork, run: Pass) -> str:
    """What it came to, as a sentence for the trail."""
    trouble = "" if work.tally.verdict is None else work.tally.verdict.trouble
    if run.stop.is_asked or trouble:
        return f"stopped: {trouble}" if trouble else "stopped"
    return "done"


def _report(asked: Handling, work: LetterWork) -> dict[str, Any]:
    tally, held_back = work.tally, work.guard.held_back
    report: dict[str, Any] = {
        asked.verb: tally.handled,
        "matched": tally.matched,
        "kept": tally.kept_count + held_back,
        "dry_run": asked.dry_run,
    }
    if asked.verb == "replayed":
        report["of_lost_state"] = held_back
    if (verdict := tally.verdict) is not None:
        report["canaries"] = {
            "sent": verdict.sent,
            "came_back": verdict.came_back,
            "trouble": verdict.trouble or None,
        }
    return report


def _tell(asked: Handling, work: LetterWork) -> None:
    tally = work.tally
    if asked.dry_run:
        count = tally.matched - work.guard.held_back - tally.kept_count
        say(f"would have {asked.verb} {count}{_how(asked, count)}")
        return
    if tally.verdict is not None and not tally.verdict.trouble:
        wait = told_span(asked.wait_seconds)
        say(f"canaries: {tally.verdict.sent} replayed, none came back within {wait}")
    say(f"{asked.verb} {tally.handled}")


def _how(asked: Handling, count: int) -> str:
    """What a dry run says beyond the number."""
    rest = max(0, count - asked.canaries)
    said = ""
    if asked.canaries:
        said += (
            f": {min(asked.canaries, count)} as canaries, and {rest} when none of these came back "
            f"within {told_span(asked.wait_seconds)}"
        )
    if asked.rate is not None:
        said += f", {asked.rate:g} a second, which takes {told_span(rest / asked.rate)}"
    return said


def _check_what_is_not_there(asked: Handling, run: Pass) -> None:
    """Raises `typer.Exit` or `UnknownName` where something is named that is not there."""
    check_spelling(asked.chosen, run)
    letter_id = asked.chosen.id
    if letter_id is not None and asked.chosen != Filter(id=letter_id):
        say(f"no dead letter has the id {shown(letter_id)} and fits the other options")
        raise typer.Exit(1)
    if letter_id is not None:
        not_there(letter_id)
    group = asked.chosen.group
    if group is not None and asked.chosen == Filter(group=group):  # or another option excludes it
        say(f"no dead letter is of the group {group}; see `dead-letters groups`")
        raise typer.Exit(1)
