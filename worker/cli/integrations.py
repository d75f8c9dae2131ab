"""`consent-worker integrations`: list, validate, check."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from worker.adobe.client import AdobeClient
from worker.adobe.http import open_session
from worker.cli.shared import print_json, say
from worker.service import build_registry, endpoint_policy
from worker.settings import WorkerSettings

app = typer.Typer(no_args_is_help=True, help="The customers' integrations.")


@app.command("list")
def list_all(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """List the integrations, without secrets."""
    registry = build_registry(WorkerSettings())
    registry.load()
    rows = [
        {
            "id": one.id,
            "organization_id": one.organization_id,
            "enabled": one.enabled,
            "mappings": len(one.mappings),
            "upsert_mode": one.upsert_mode,
        }
        for one in registry.integrations
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = "enabled" if row["enabled"] else "disabled"
        say(f"{row['id']}  organization {row['organization_id']}  {state}")


@app.command("validate")
def validate() -> None:
    """Validate every file; exit 2 and name file, field and rule when one is bad."""
    registry = build_registry(WorkerSettings())
    registry.load()
    say(f"{len(registry)} integrations are valid")


@app.command("check")
def check(
    integration: Annotated[
        str, typer.Argument(help="Id of the integration; all without one.")
    ] = "",
) -> None:
    """Ask Adobe for a token and validate the dataflow with one synchronous call."""
    settings = WorkerSettings()
    registry = build_registry(settings)
    registry.load()
    wanted = [one for one in registry.integrations if integration in ("", one.id)]
    if not wanted:
        say(f"no integration has the id {integration}")
        raise typer.Exit(2)

    async def check_all() -> bool:
        policy = endpoint_policy(settings)
        async with open_session(policy, settings.attempt_timeout_seconds) as session:
            client = AdobeClient(
                session, policy, ims_url=settings.ims_url, platform_url=settings.platform_url
            )
            ok = True
            for one in wanted:
                for result in await client.check(one):
                    ok = ok and result.ok
                    mark = "ok" if result.ok else "FAILED"
                    say(f"{one.id}  {result.name}: {mark} - {result.detail}")
            return ok

    if not asyncio.run(check_all()):
        raise typer.Exit(1)
