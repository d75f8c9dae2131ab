"""`consent-worker explain`: what would be sent to Adobe for an event, and why. Sends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from worker.adobe.explanation import explain_event
from worker.cli.command_support import command_settings, print_json, read_input, say
from worker.cli.integrations import find_integration
from worker.cli.json_output import JsonOption
from worker.integrations.loading import InvalidIntegration, InvalidIntegrations, load_integration
from worker.integrations.model import Integration
from worker.service.registry_from_settings import (
    build_registry,
    endpoint_policy,
    secret_source,
    surroundings,
)
from worker.settings import WorkerSettings

_DETAILS: Final = (
    "identity",
    "order",
    "attributes",
    "emptied",
    "unmatched",
    "unusable",
    "mappings",
    "request",
)


def explain(
    event: Annotated[str, typer.Argument(help="File with one event; - reads standard input.")],
    integration: Annotated[str, typer.Option(help="Id of a configured integration.")] = "",
    config: Annotated[str, typer.Option(help="File of an integration.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Say what the worker would do with an event. Exit code 0 whatever the outcome is."""
    if bool(integration) == bool(config):
        raise typer.BadParameter("give either --integration or --config")
    settings = command_settings()
    found = _find(settings, integration, config)
    explanation = explain_event(read_input(event), found, settings.max_event_bytes)
    if as_json:
        print_json(explanation)
        return
    say(f"outcome: {explanation['outcome']}")
    for name in ("reason", "detail", "note"):
        if explanation.get(name):
            say(f"{name}: {explanation[name]}")
    for name in _DETAILS:
        if explanation[name]:
            say(f"{name}: {orjson.dumps(explanation[name], option=orjson.OPT_INDENT_2).decode()}")


def _find(settings: WorkerSettings, integration_id: str, config: str) -> Integration:
    if config:
        try:
            return load_integration(
                Path(config),
                secret_source(settings),
                endpoint_policy(settings).problem,
                surroundings(settings),
            )
        except InvalidIntegration as problem:
            raise InvalidIntegrations([problem]) from None
    registry = build_registry(settings)
    registry.load()
    return find_integration(registry, integration_id)
