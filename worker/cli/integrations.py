"""`consent-worker integrations`: list, validate, schema, check."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.command_support import command_settings, complain, print_json, say
from worker.cli.did_you_mean import meant
from worker.cli.json_output import JsonListOption, print_json_list
from worker.counting import counted, verb
from worker.integrations.file_schema import integration_schema
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.loading import InvalidIntegrations, NoSuchIntegration
from worker.integrations.model import Integration
from worker.integrations.safe_files import printable
from worker.service.registry_from_settings import build_registry
from worker.settings import WorkerSettings

app = typer.Typer(no_args_is_help=True, help="The customers' integrations.")


def find_integration(registry: IntegrationRegistry, integration_id: str) -> Integration:
    """The integration of this id, whatever is wrong with others.

    Raises `InvalidIntegrations` when its own file is bad, `NoSuchIntegration` when no file has it.
    """
    found = registry.get(integration_id)
    if found is not None:
        return found
    own = [one for one in registry.invalid if integration_id in (one.integration_id, one.path.stem)]
    if own:
        raise InvalidIntegrations(own)
    sentence = f"no integration has the id {printable(integration_id)}"
    if one := meant(integration_id, [one.id for one in registry.integrations]):
        sentence += f"; did you mean {one}?"
    nameless = [printable(one.path) for one in registry.invalid if one.integration_id is None]
    if nameless:
        sentence += f"; these files are not valid and tell no id: {', '.join(nameless)}"
    raise NoSuchIntegration(sentence)


def _loaded(settings: WorkerSettings) -> IntegrationRegistry:
    registry = build_registry(settings)
    registry.load()
    return registry


@app.command("list")
def list_all(
    as_json: JsonListOption = False,
) -> None:
    """List the valid integrations, without secrets; name the files of others on standard error."""
    registry = _loaded(command_settings())
    rows = [
        {
            "id": one.id,
            "organization_id": one.organization_id,
            "enabled": one.enabled,
            "paused": one.paused,
            "mappings": len(one.mappings),
            "upsert_mode": one.upsert_mode,
        }
        for one in registry.integrations
    ]
    if as_json:
        print_json_list(rows)
    else:
        for one in registry.integrations:
            say(f"{one.id}  organization {printable(one.organization_id)}  {one.state}")
    _name_bad_files(registry)


@app.command("validate")
def validate() -> None:
    """Validate every file; exit 2 and name file, field and rule when one is bad."""
    registry = _loaded(command_settings())
    for one in registry.integrations:
        for sentence in one.warnings:
            complain(f"consent-worker: {one.id}: warning: {sentence}")
    if registry.invalid:
        raise InvalidIntegrations(registry.invalid)
    number = len(registry)
    say(f"{counted(number, 'integration')} {verb(number, 'is', 'are')} valid")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of an integration's file, for editors."""
    print_json(integration_schema())


@app.command("check")
def check(
    integration: Annotated[
        str, typer.Argument(help="Id of the integration; all without one.")
    ] = "",
    as_json: JsonListOption = False,
    send_test: Annotated[
        bool,
        typer.Option(
            "--send-test",
            help="Also write a test record, with every choice refused; asks for the identity, or "
            "reads it from standard input.",
        ),
    ] = False,
) -> None:
    """Hold integrations against the customers' set-up at Adobe, before the first event.

    Reads with the customer's credential, and writes nothing. A line is ok, wrong
    (what to change), or can't be judged (which right to grant).

    Exit codes:

    0: all is ok

    1: something is wrong

    2: wrong usage or settings, or a file is not valid

    4: nothing is wrong, but something can't be judged
    """
    # Later: it speaks HTTP, whose library takes longer to import than a list takes.
    from worker.cli.check import EXIT_CODES, ask_for_identity, run_checks  # noqa: PLC0415

    if send_test and not integration:
        raise typer.BadParameter("--send-test needs the id of one integration")
    settings = command_settings()
    registry = _loaded(settings)
    wanted = [find_integration(registry, integration)] if integration else registry.integrations
    identity = ask_for_identity() if send_test else None
    if identity == "":
        raise typer.BadParameter("--send-test needs an identity on standard input")
    verdict = run_checks(settings, wanted, as_json=as_json, identity=identity)
    if registry.invalid and not integration:
        if verdict != "wrong":
            raise InvalidIntegrations(registry.invalid)
        _name_bad_files(registry)
    if code := EXIT_CODES[verdict]:
        raise typer.Exit(code)


def _name_bad_files(registry: IntegrationRegistry) -> None:
    for problem in registry.problems:
        typer.echo(f"consent-worker: {problem}", err=True)
