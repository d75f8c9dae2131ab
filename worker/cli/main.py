"""`consent-worker`: the root of the commands, and what its exit codes mean.

0: done. 1: it ran and something failed, or what was asked for is not there. 2: wrong usage or
settings, integration files that the command is about that are not valid, or a library that this
version can't run with. 3: the broker (or, for a command that needs it, Redis) can't be reached, or
holds a conflicting declaration. 4: `integrations check` found nothing wrong, but could not judge
all. 130 and 143: interrupted by SIGINT or SIGTERM.

Which exception ends a command by which of these is in `worker.errors`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection
from importlib import import_module
from typing import Annotated, Final, NamedTuple

import typer
from pydantic import ValidationError

from worker.errors import EndsCommand
from worker.observability.quiet_libraries import silence_libraries


class Command(NamedTuple):
    """A command's module, in which it is a function of its name, or an `app` of subcommands; and
    what it is for, as it says itself.
    """

    module: str
    summary: str


COMMANDS: Final = {
    "run": Command("run", "Consume events and deliver them until SIGTERM."),
    "receive": Command(
        "receive", "Take Didomi's webhooks and put them on the queue until SIGTERM."
    ),
    "publish": Command(
        "publish", "Publish events as a producer would, and wait until the broker has them."
    ),
    "explain": Command(
        "explain",
        "Say what the worker would do with an event. Exit code 0 whatever the outcome is.",
    ),
    "sandbox": Command(
        "sandbox",
        "Emulate Adobe's token endpoint, streaming ingestion, profile look-up and set-up, locally.",
    ),
    "integrations": Command("integrations", "The customers' integrations."),
    "topology": Command("topology", "Exchanges, queues and bindings."),
    "dead-letters": Command("dead_letter_commands", "Inspect, replay and discard dead letters."),
    "receipts": Command("receipts", "What became of every event, and its proof."),
    "erase": Command(
        "erase",
        "Forget a person, whose id is asked for or read from standard input, one id a line.",
    ),
    "state": Command("state", "Whether the state has lost what it knew of the newest choices."),
    "ledger": Command("ledger", "Read the receipts' stream into the ledger until SIGTERM."),
    "console": Command(
        "console", "Show the fleet in a browser, and run the ledger beside it, until SIGTERM."
    ),
    "status": Command(
        "status",
        "Show workers, delays, what waits, what fails, and whether everything adds up.",
    ),
}


def build_app(*names: str) -> typer.Typer:
    """The command line with these commands. The others are there by name alone: to import them all
    takes longer than most of them.
    """
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def about(
        _: Annotated[
            bool,
            typer.Option("--version", callback=_show_version, is_eager=True, help="Say which."),
        ] = False,
    ) -> None:
        """Delivers Didomi consent events from RabbitMQ to Adobe Experience Platform."""

    for name, command in COMMANDS.items():
        if name not in names:
            app.command(name, help=command.summary)(_not_imported)
            continue
        module = import_module(f"worker.cli.{command.module}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _not_imported() -> None:
    """Stands for a command in the list of all. One that is called is imported."""
    raise AssertionError("the command was not imported")


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        # Later: few ask for it, and it parses what is installed.
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"consent-worker {version('consent-worker')}")
        raise typer.Exit


def main() -> None:
    """Entry point: turns what goes wrong into a sentence and an exit code."""
    silence_libraries()
    if empty := _empty_argument(sys.argv[1:]):
        # Often a variable of a script that is not set, where without the option all is meant.
        _complain(f"{empty} must not be empty; leave it out if it is not meant")
        sys.exit(2)
    try:
        build_app(*_wanted(sys.argv[1:]))()
    except ValidationError as error:
        for one in error.errors(include_input=False):
            name = "CONSENT_WORKER_" + ".".join(str(step) for step in one["loc"]).upper()
            _complain(f"setting {name}: {one['msg'].removeprefix('Value error, ')}")
        sys.exit(2)
    except EndsCommand as error:
        _complain(error.complaint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # while the command was imported
    except OSError as error:
        _complain(f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": "))
        sys.exit(1)


def _wanted(arguments: list[str]) -> Collection[str]:
    """The commands that have to be imported: the one that is called, if any."""
    if any(name.startswith("_") and name.endswith("_COMPLETE") for name in os.environ):
        return COMMANDS  # the shell asks for their options
    words = [one for one in arguments if not one.startswith("-")]
    return [one for one in words[:1] if one in COMMANDS]


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
