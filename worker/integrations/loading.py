"""From a JSON file to an `Integration`, or to sentences that say what is wrong where."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from worker.integrations.model import (
    ID_PATTERN,
    Authentication,
    IdentityRule,
    Integration,
    Limits,
    Properties,
)
from worker.integrations.model import Mapping as MappingEntry
from worker.integrations.secrets import resolve_references

EndpointCheck = Callable[[str], str | None]

_SECTIONS: dict[str, type[BaseModel]] = {
    "authentication": Authentication,
    "properties": Properties,
    "mappings": MappingEntry,
    "limits": Limits,
    "identities": IdentityRule,
}


@dataclass
class InvalidIntegration(Exception):  # noqa: N818 - a statement about a file
    """A file is no valid integration. `problems` name field and rule, never the value given."""

    path: Path
    problems: list[str]
    integration_id: str | None = None
    organization_id: str | None = None

    def __str__(self) -> str:
        return "\n".join(f"{self.path}: {problem}" for problem in self.problems)


class InvalidIntegrations(Exception):  # noqa: N818 - a statement about files
    """The directory can't be used as it is; the text has one line per problem."""

    def __init__(self, problems: list[InvalidIntegration]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass
class Loaded:
    """A directory's integrations by id, where each came from, and what is wrong."""

    integrations: dict[str, Integration] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    problems: list[InvalidIntegration] = field(default_factory=list)


def load_integration(
    path: Path, env: Mapping[str, str], endpoint_check: EndpointCheck
) -> Integration:
    """Read and validate one file. Raises `InvalidIntegration` with all problems at once.

    `endpoint_check` gives the reason why an endpoint may not be called, or None. A file without
    `id` is known by its name.
    """
    document = _read_object(path)
    document.setdefault("id", path.stem)
    problems: list[str] = []
    authentication = document.get("authentication")
    if isinstance(authentication, dict):
        document["authentication"], problems = resolve_references(authentication, env, path.parent)
    try:
        integration = Integration.model_validate(document)
    except ValidationError as error:
        problems += [_sentence(one) for one in error.errors(include_input=False)]
        raise _invalid(path, problems, document) from None
    if problem := endpoint_check(integration.properties.dataflow_endpoint):
        problems.append(f"properties.dataflow_endpoint: {problem}")
    if problems:
        raise _invalid(path, problems, document)
    return integration


def integration_files(directory: Path) -> list[os.DirEntry[str]]:
    """The `*.json` files of `directory`, in no order.

    Raises `InvalidIntegration` when it can't be listed, where a glob would find no file.
    """
    try:
        with os.scandir(directory) as entries:
            return [one for one in entries if one.name.endswith(".json")]
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidIntegration(directory, ["is not a directory"]) from None
    except OSError as error:
        raise InvalidIntegration(directory, [f"can't be read ({type(error).__name__})"]) from None


def load_directory(
    directory: Path, env: Mapping[str, str], endpoint_check: EndpointCheck
) -> Loaded:
    """Every file of `directory`. Raises `InvalidIntegration` when it can't be listed."""
    loaded = Loaded()
    for path in sorted(Path(one.path) for one in integration_files(directory)):
        try:
            integration = load_integration(path, env, endpoint_check)
        except InvalidIntegration as problem:
            loaded.problems.append(problem)
            continue
        if first := loaded.paths.get(integration.id):
            loaded.problems.append(
                InvalidIntegration(
                    path,
                    [f"id: {integration.id!r} is taken by {first.name}"],
                    None,
                    integration.organization_id,
                )
            )
            continue
        loaded.integrations[integration.id] = integration
        loaded.paths[integration.id] = path
    return loaded


def _read_object(path: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InvalidIntegration(path, [f"can't be read ({type(error).__name__})"]) from None
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidIntegration(path, [f"is not JSON ({where})"]) from None
    if not isinstance(document, dict):
        raise InvalidIntegration(path, ["must be a JSON object"])
    return document


def _invalid(path: Path, problems: list[str], document: dict[str, Any]) -> InvalidIntegration:
    """The id is only told when it is one: dead letters and metrics are named by it."""
    integration_id, organization_id = document["id"], document.get("organization_id")
    is_usable = isinstance(integration_id, str) and re.fullmatch(ID_PATTERN, integration_id)
    return InvalidIntegration(
        path,
        problems,
        integration_id if is_usable else None,
        organization_id if isinstance(organization_id, str) else None,
    )


def _sentence(error: Any) -> str:
    """One problem of pydantic's as `field: what is allowed there`."""
    location = [str(step) for step in error["loc"]]
    where = ".".join(location) or "the integration"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown field{_closest(location)}"
    if error["type"] == "missing":
        return f"{where}: is required"
    return f"{where}: {message}"


def _closest(location: list[str]) -> str:
    section = _SECTIONS.get(location[0], Integration) if len(location) > 1 else Integration
    match = difflib.get_close_matches(location[-1], list(section.model_fields), 1)
    if match:
        return f", did you mean {match[0]}?"
    return f"; allowed are {', '.join(section.model_fields)}"
