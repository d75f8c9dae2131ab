"""`consent-worker`: the root of the commands, and what its exit codes mean.

0: done. 1: it ran and something failed, or what was asked for is not there. 2: wrong usage,
settings or integration files. 3: the broker can't be reached, or holds a conflicting declaration.
130 and 143: interrupted by SIGINT or SIGTERM.
"""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError

from worker.broker.topology import TopologyConflict
from worker.cli import dead_letters, explain, integrations, publish, run, sandbox, topology
from worker.cli.event_input import BadInput
from worker.cli.interrupt import Interrupted
from worker.cli.shared import BrokerAway
from worker.integrations.registry import InvalidIntegrations
from worker.observability.logging import silence_libraries
from worker.service import UnusableSetting

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Delivers Didomi consent events from RabbitMQ to Adobe Experience Platform.",
)
app.command("run")(run.run)
app.command("publish")(publish.publish)
app.command("explain")(explain.explain)
app.command("sandbox")(sandbox.sandbox)
app.add_typer(integrations.app, name="integrations")
app.add_typer(topology.app, name="topology")
app.add_typer(dead_letters.app, name="dead-letters")


def main() -> None:
    """Entry point: turns what goes wrong into a sentence and an exit code."""
    silence_libraries()
    try:
        app()
    except ValidationError as error:
        for one in error.errors(include_input=False):
            name = "CONSENT_WORKER_" + ".".join(str(step) for step in one["loc"]).upper()
            _complain(f"setting {name}: {one['msg'].removeprefix('Value error, ')}")
        sys.exit(2)
    except (InvalidIntegrations, UnusableSetting) as error:
        _complain(str(error))
        sys.exit(2)
    except (TopologyConflict, BrokerAway) as error:
        _complain(str(error))
        sys.exit(3)
    except BadInput as error:
        _complain(str(error))
        sys.exit(1)
    except Interrupted as error:
        _complain(f"interrupted: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        _complain(f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": "))
        sys.exit(1)


def _complain(text: str) -> None:
    print(f"consent-worker: {text}", file=sys.stderr)  # noqa: T201 - the command line's voice
