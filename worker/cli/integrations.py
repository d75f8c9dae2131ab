"""`consent-worker integrations`: list, validate, schema, check."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from worker.adobe.http import open_session
from worker.cli.shared import command_settings, complain, print_json, say
from worker.integrations.files import printable
from worker.integrations.loading import InvalidIntegrations, NoSuchIntegration
from worker.integrations.model import Integration
from worker.integrations.registry import IntegrationRegistry
from worker.integrations.schema import integration_schema
from worker.service import build_client, build_registry, endpoint_policy
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
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
        print_json(rows)
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
    say(f"{len(registry)} integrations are valid")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of an integration's file, for editors."""
    print_json(integration_schema())


@app.command("check")
def check(
    integration: Annotated[
        str, typer.Argument(help="Id of the integration; all without one.")
    ] = "",
) -> None:
    """Ask Adobe for a token and validate the dataflow with one synchronous call.

    Without an id, exit 2 when all that is valid passed and a file is not.
    """
    settings = command_settings()
    registry = _loaded(settings)
    wanted = [find_integration(registry, integration)] if integration else registry.integrations

    async def check_all() -> bool:
        policy = endpoint_policy(settings)
        async with open_session(policy, settings.attempt_timeout_seconds) as session:
            client = build_client(settings, session)
            ok = True
            for one in wanted:
                for result in await client.check(one):
                    ok = ok and result.ok
                    mark = "ok" if result.ok else "FAILED"
                    say(f"{one.id}  {result.name}: {mark} - {result.detail}")
            return ok

    if not asyncio.run(check_all()):
        if not integration:
            _name_bad_files(registry)
        raise typer.Exit(1)
    if not integration and registry.invalid:
        raise InvalidIntegrations(registry.invalid)


def _name_bad_files(registry: IntegrationRegistry) -> None:
    for problem in registry.problems:
        typer.echo(f"consent-worker: {problem}", err=True)
