"""The options of acts on record: who does it, why, and whether it may go without a record."""

from __future__ import annotations

import os
import pwd
from typing import Annotated, Final, NamedTuple

import typer

from worker.redaction import redact, shown_name
from worker.settings import UnusableSetting, WorkerSettings

_MOST_WHY: Final = 200
_NAME_RULE: Final = "a short name of letters, digits, dots, hyphens and underscores, and no e-mail"

AsOption = Annotated[
    str, typer.Option("--as", help="Who does it, for the trail; else the user's own name.")
]
WhyOption = Annotated[str, typer.Option(help="Why, for the trail; nothing of a person.")]
UnrecordedOption = Annotated[
    bool, typer.Option("--unrecorded", help="Do it even if it can't be put on record.")
]


class ActOptions(NamedTuple):
    """By whom and why an act is done. `may_be_unrecorded`: even where it can't be put on record."""

    who: str
    why: str = ""
    may_be_unrecorded: bool = False


def act_options(
    settings: WorkerSettings, as_name: str, why: str, *, may_be_unrecorded: bool
) -> ActOptions:
    """Who does an act, and why, by the options and the settings. Raises `typer.BadParameter` and
    `UnusableSetting`.
    """
    if as_name and shown_name(as_name) is None:
        raise typer.BadParameter(f"--as takes {_NAME_RULE}")
    name = settings.operator_name
    if name and shown_name(name) is None:
        raise UnusableSetting(f"setting CONSENT_WORKER_OPERATOR_NAME: must be {_NAME_RULE}")
    why = " ".join(why.split())
    if len(why) > _MOST_WHY:
        raise typer.BadParameter(f"--why takes {_MOST_WHY} characters at most")
    return ActOptions(as_name or name or _user_name(), redact(why), may_be_unrecorded)


def _user_name() -> str:
    """Of the operating system, of who became root by sudo that of before; a number for none."""
    number = os.getuid()
    said = os.environ.get("SUDO_USER", "") if number == 0 else ""
    if not said:
        try:
            said = pwd.getpwuid(number).pw_name
        except KeyError:
            said = ""
    return shown_name(said) or f"uid-{number}"
