"""`consent-worker`: the root of the commands, and what its exit codes mean.

0: done. 1: it ran and something failed, or what was asked for is not there. 2: wrong usage or
settings, integration files that the command is about that are not valid, or a library that this
version can't run with. 3: the broker (or, for a command that needs it, Redis) can't be reached, or
holds a conflicting declaration. 4: `integrations check` found nothing wrong, but could not judge
all. 130 and 143: interrupted by SIGINT or SIGTERM.

Which exception ends a command by which of these is in `worker.errors`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from worker.errors import EndsCommand
from worker.observability.logging import silence_libraries

COMMANDS: Final = {
    "run": "run",
    "publish": "publish",
    "explain": "explain",
    "sandbox": "sandbox",
    "integrations": "integrations",
    "topology": "topology",
    "dead-letters": "dead_letter_commands",
    "receipts": "receipts",
    "erase": "erase",
    "state": "state",
    "ledger": "ledger",
    "status": "status",
}
"""Each command's module, in which it is a function of that name, or an `app` of subcommands."""


def build_app(*names: str) -> typer.Typer:
    """The command line with these commands: to import them all takes longer than most of them."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def about(
        _: Annotated[
            bool,
            typer.Option("--version", callback=_show_version, is_eager=True, help="Say which."),
        ] = False,
    ) -> None:
        """Delivers Didomi consent events from RabbitMQ to Adobe Experience Platform."""

    for name in names:
        module = import_module(f"worker.cli.{COMMANDS[name]}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, COMMANDS[name]))
    return app


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"consent-worker {version('consent-worker')}")
        raise typer.Exit


def main() -> None:
    """Entry point: turns what goes wrong into a sentence and an exit code."""
    silence_libraries()
    if empty := _empty_argument(sys.argv[1:]):
        # Often a variable of a script that is not set, where without the option all is meant.
        _complain(f"{empty} must not be empty; leave it out if it is not meant")
        sys.exit(2)
    asked_for = [one for one in sys.argv[1:2] if one in COMMANDS]
    try:
        build_app(*(asked_for or COMMANDS))()
    except ValidationError as error:
        for one in error.errors(include_input=False):
            name = "CONSENT_WORKER_" + ".".join(str(step) for step in one["loc"]).upper()
            _complain(f"setting {name}: {one['msg'].removeprefix('Value error, ')}")
        sys.exit(2)
    except EndsCommand as error:
        _complain(error.complaint)
        sys.exit(error.exit_code)
    except OSError as error:
        _complain(f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": "))
        sys.exit(1)


def _empty_argument(arguments: list[str]) -> str | None:
    """What stands without a value: `--id ""`, `--id=` or `""`."""
    before = ""
    for one in arguments:
        option, equals, value = one.partition("=")
        if equals and not value and option.startswith("--"):
            return option
        if not one:
            return before if before.startswith("-") else "an argument"
        before = one
    return None


def _complain(text: str) -> None:
    print(f"consent-worker: {text}", file=sys.stderr)  # noqa: T201 - the command line's voice
