"""`dead-letters replay` and `discard`: their options."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from worker.cli.act_options import ActOptions, AsOption, UnrecordedOption, WhyOption, act_options
from worker.cli.command_support import command_settings
from worker.cli.json_output import JsonOption
from worker.cli.letter_options import (
    ErrorOption,
    EventOption,
    GroupOption,
    IdOption,
    IntegrationOption,
    NewerOption,
    OlderOption,
    ReasonOption,
    SinceOption,
    UntilOption,
    chosen_by,
    wait_seconds,
)
from worker.letters.letter_act_request import CANARY_WAIT, Handling

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def _finite(rate: float | None) -> float | None:
    if rate is not None and not math.isfinite(rate):
        raise typer.BadParameter("it must be a number of letters")
    return rate


def replay(
    letter_id: IdOption = "",
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    error: ErrorOption = "",
    event: EventOption = "",
    group: GroupOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    canary: Annotated[
        int, typer.Option(min=0, max=1000, help="Replay so many first, and see whether they fail.")
    ] = 0,
    wait: Annotated[
        str, typer.Option(help="How long no canary may come back, such as 330s; 20m at most.")
    ] = CANARY_WAIT,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, callback=_finite, help="Replay so many a second at most."),
    ] = None,
    after_state_loss: Annotated[
        bool,
        typer.Option(
            "--after-state-loss",
            help="Also those of before the state was lost: they can replace newer choices.",
        ),
    ] = False,
    as_name: AsOption = "",
    why: WhyOption = "",
    unrecorded: UnrecordedOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters on their way again, each with a fresh retry budget."""
    chosen = chosen_by(
        integration=integration,
        reason=reason,
        error=error,
        since=since,
        until=until,
        older_than=older_than,
        newer_than=newer_than,
        letter_id=letter_id,
        event=event,
        group=group,
    )
    asked = Handling(
        "replayed", chosen, dry_run, after_state_loss, canary, wait_seconds(wait), rate
    )
    _handle(asked, _said(as_name, why, unrecorded), as_json)


def discard(
    letter_id: IdOption = "",
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    error: ErrorOption = "",
    event: EventOption = "",
    group: GroupOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    as_name: AsOption = "",
    why: WhyOption = "",
    unrecorded: UnrecordedOption = False,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take dead letters off the queue for good."""
    chosen = chosen_by(
        integration=integration,
        reason=reason,
        error=error,
        since=since,
        until=until,
        older_than=older_than,
        newer_than=newer_than,
        letter_id=letter_id,
        event=event,
        group=group,
    )
    said = _said(as_name, why, unrecorded)
    if not dry_run and not yes:
        typer.confirm("Discarded consents are lost for good. Go on?", abort=True, err=True)
    _handle(Handling("discarded", chosen, dry_run), said, as_json)


def _said(as_name: str, why: str, unrecorded: bool) -> ActOptions:
    return act_options(command_settings(), as_name, why, may_be_unrecorded=unrecorded)


def _handle(asked: Handling, said: ActOptions, as_json: bool) -> None:
    # Later: it asks the workers' state, whose libraries take longer to import than a list takes.
    from worker.cli.replay_and_discard import handle  # noqa: PLC0415

    handle(asked, said, as_json)
