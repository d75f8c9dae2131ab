"""Resolving references in `authentication`: `${ENV_VAR}` and `file:PATH`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class UnresolvedReference(ValueError):  # noqa: N818 - what it is
    """A variable is not set or a file can't be read; the text names it, never a secret."""


def resolve_references(
    authentication: dict[str, Any], env: Mapping[str, str], base: Path
) -> tuple[dict[str, Any], list[str]]:
    """`authentication` with its references replaced, and a problem for each that can't be.

    A relative `file:` path starts at `base`. Content of a file is stripped of outer white space.
    """
    resolved: dict[str, Any] = {}
    problems = []
    for name, value in authentication.items():
        try:
            resolved[name] = _resolve(value, env, base) if isinstance(value, str) else value
        except UnresolvedReference as error:
            problems.append(f"authentication.{name}: {error}")
            resolved[name] = "unresolved"
    return resolved, problems


def _resolve(value: str, env: Mapping[str, str], base: Path) -> str:
    if value.startswith("file:"):
        path = base / value.removeprefix("file:")
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a NUL in the path
            raise UnresolvedReference(
                f"the file {path} can't be read ({type(error).__name__})"
            ) from None

    def variable(match: re.Match[str]) -> str:
        name = match.group(1)
        if not env.get(name):
            raise UnresolvedReference(f"the environment variable {name} is not set")
        return env[name]

    return _VARIABLE.sub(variable, value)
