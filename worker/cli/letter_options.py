"""The options by which dead letters are chosen, and what they mean together."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from worker.broker.letter_filter import Filter
from worker.cli.did_you_mean import UnknownName, meant
from worker.cli.terminal import shown
from worker.evidence.letter_cause import GROUP_ID
from worker.letters.letter_act_request import LONGEST_WAIT_SECONDS
from worker.letters.letter_events import ERRORS, REASONS
from worker.moments import moment_ms, span_seconds

IdOption = Annotated[str, typer.Option("--id", help="Only this one.")]
IntegrationOption = Annotated[
    str, typer.Option(help="Only those of this integration; none: of no integration.")
]
ReasonOption = Annotated[str, typer.Option(help="Only those with this reason code.")]
ErrorOption = Annotated[str, typer.Option(help="Only those with this error code.")]
EventOption = Annotated[
    str,
    typer.Option(help="Only those of this event: Didomi's id, or as the log or receipts call it."),
]
GroupOption = Annotated[str, typer.Option(help="Only those of this group, see `groups`.")]
SinceOption = Annotated[
    str, typer.Option(help="Only those dead since: 90s, 2h or 7d ago, or an ISO 8601 time.")
]
UntilOption = Annotated[str, typer.Option(help="Only those dead until then.")]
OlderOption = Annotated[str, typer.Option(help="Only those dead for longer, such as 90s, 2h, 7d.")]
NewerOption = Annotated[str, typer.Option(help="Only those dead for less long.")]
FromLedgerOption = Annotated[
    bool, typer.Option("--from-ledger", help="As the ledger knows them: at once, without bodies.")
]


def chosen_by(
    *,
    integration: str,
    reason: str,
    error: str,
    since: str,
    until: str,
    older_than: str = "",
    newer_than: str = "",
    letter_id: str = "",
    event: str = "",
    group: str = "",
) -> Filter:
    """Which dead letters these options mean; an empty one is not given. Raises `UnknownName` and
    `typer.BadParameter`.
    """
    now_ms = int(time.time() * 1000)
    if group and not GROUP_ID.fullmatch(group):
        raise typer.BadParameter("a group is 8 hex digits, as `dead-letters groups` prints them")
    return Filter(
        integration=integration or None,
        reason=_code("reason", reason, REASONS),
        error=_code("error", error, ERRORS),
        since_ms=_one_of("--since", since, "--newer-than", newer_than, now_ms),
        until_ms=_one_of("--until", until, "--older-than", older_than, now_ms),
        id=letter_id or None,
        event=event or None,
        group=group or None,
    )


def _code(kind: str, said: str, known: frozenset[str]) -> str | None:
    if not said or said in known:
        return said or None
    one = meant(said, known)
    instead = f"did you mean {one}?" if one else f"it must be one of {', '.join(sorted(known))}"
    raise UnknownName(f"no {kind} is called {shown(said)}; {instead}")


def _one_of(name: str, moment: str, other_name: str, age: str, now_ms: int) -> int | None:
    """The moment that one of two options gives, in ms since 1970."""
    if moment and age:
        raise typer.BadParameter(f"{name} and {other_name} say the same; give one of them")
    try:
        if age:
            return now_ms - span_seconds(age) * 1000
        return moment_ms(moment, now_ms) if moment else None
    except ValueError as error:
        raise typer.BadParameter(f"{other_name if age else name} {error}") from None


def wait_seconds(text: str) -> int:
    """How long canaries are waited for, as `--wait` says. Raises `typer.BadParameter`."""
    try:
        seconds = span_seconds(text)
    except ValueError as error:
        raise typer.BadParameter(f"--wait {error}") from None
    if not 1 <= seconds <= LONGEST_WAIT_SECONDS:
        raise typer.BadParameter(f"--wait must be 1s to {LONGEST_WAIT_SECONDS}s")
    return seconds
