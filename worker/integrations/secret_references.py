"""Resolving references in `authentication`: `${ENV_VAR}` and `file:PATH`; and finding those that
stand where none is resolved.

Who may write an integration's file may name references, so these reach only what a setting allows:
never the worker's own settings, and no file beyond the directories for secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from worker.integrations.mistake_sentences import where
from worker.integrations.safe_files import (
    Stamp,
    UnusableFile,
    printable,
    read_regular,
    stamp_of,
)

_BRACES: Final = "${"
_BARE: Final = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_FILE: Final = "file:"


def misplaced_references(document: dict[str, Any]) -> list[str]:
    """A sentence for each text beyond `authentication` that looks like a reference."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [
        ((key,), value) for key, value in document.items() if key != "authentication"
    ]
    found = []
    for path, value in waiting:  # grows meanwhile
        if isinstance(value, dict):
            waiting += [((*path, key), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), one) for index, one in enumerate(value)]
        elif isinstance(value, str) and _is_reference(value, is_content="constant" in path):
            found.append(
                f"{where(path)}: looks like a reference, and references are resolved in "
                "authentication only: write the value itself"
            )
    return found


def _is_reference(text: str, *, is_content: bool) -> bool:
    """What a mapping sends as it is may look like a reference, but for the braces."""
    if "$" not in text and _FILE not in text:  # as nearly all
        return False
    if _BRACES in text:
        return True
    text = text.strip()
    return not is_content and (text.startswith(_FILE) or _BARE.fullmatch(text) is not None)


MOST_SECRET_BYTES: Final = 64 * 1024
DEFAULT_DIRECTORIES: Final = (".", "/run/secrets", "/var/run/secrets")
"""Beside the integrations, and where Docker and Kubernetes mount secrets."""
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OWN_SETTINGS: Final = "CONSENT_WORKER_"


class UnresolvedReference(ValueError):
    """A variable is not set, a file can't be read, or a reference is half written; the text names
    variable or file, never a secret.
    """


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where references may lead: variables of `env` that start with `env_prefix`, and regular files
    below `directories`, of which a relative one starts at the directory of the integration's file.
    """

    env: Mapping[str, str]
    env_prefix: str = ""
    directories: tuple[str, ...] = DEFAULT_DIRECTORIES

    def variable(self, name: str) -> str:
        """The value of an environment variable, without outer white space. Raises
        `UnresolvedReference`.
        """
        if not self._may_name(name):
            allowed = f"{self.env_prefix}*" if self.env_prefix else f"all but {_OWN_SETTINGS}*"
            raise UnresolvedReference(
                f"the environment variable {name} may not be named here; allowed are {allowed}"
            )
        value = self.env.get(name, "").strip()
        if not value:
            raise UnresolvedReference(f"the environment variable {name} is not set, or empty")
        return value

    def file(self, path: Path, base: Path) -> str:
        """A secret file's content, without outer white space. Raises `UnresolvedReference`."""
        name = printable(path)
        try:
            real = Path(os.path.realpath(path))
            if not self._is_allowed(real, base):
                raise UnresolvedReference(
                    f"the file {name} is outside of the directories for secrets "
                    "(CONSENT_WORKER_SECRET_DIRECTORIES)"
                )
            return read_regular(real, MOST_SECRET_BYTES).decode().strip()
        except UnresolvedReference:
            raise
        except UnusableFile as error:
            raise UnresolvedReference(f"the file {name} {error}") from None
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a NUL in the path
            raise UnresolvedReference(
                f"the file {name} can't be read ({type(error).__name__})"
            ) from None

    def _may_name(self, name: str) -> bool:
        # Settings are read in any case of letters, so all of these are refused.
        is_own = name.upper().startswith(_OWN_SETTINGS)
        if is_own and not self.env_prefix.upper().startswith(_OWN_SETTINGS):
            return False
        return name.startswith(self.env_prefix)

    def _is_allowed(self, real: Path, base: Path) -> bool:
        """Both sides without links: a secret that Kubernetes mounts is a link to one."""
        return any(
            real.is_relative_to(os.path.realpath(base / directory))
            for directory in self.directories
        )


@dataclass(slots=True)
class Resolution:
    """`authentication` with its references replaced, a problem for each that can't be, and the
    stamps of the files that were named, from before they were read.
    """

    authentication: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stamps: dict[Path, Stamp | None] = field(default_factory=dict)


def resolve_references(
    authentication: dict[str, Any], source: SecretSource, base: Path
) -> Resolution:
    """Replace all references in `authentication`. A relative `file:` path starts at `base`."""
    resolution = Resolution()
    for name, value in authentication.items():
        resolved = value
        if isinstance(value, str):
            try:
                resolved = _resolve(value, source, base, resolution.stamps)
            except UnresolvedReference as error:
                resolution.problems.append(f"authentication.{printable(name)}: {error}")
                resolved = "unresolved"
        resolution.authentication[name] = resolved
    return resolution


def _resolve(value: str, source: SecretSource, base: Path, stamps: dict[Path, Stamp | None]) -> str:
    if value.startswith(_FILE):
        path = base / value.removeprefix(_FILE)
        stamps[path] = stamp_of(path)
        return source.file(path, base)
    if _BARE.fullmatch(value):
        raise UnresolvedReference("a reference to a variable is written with braces: ${NAME}")
    if "${" in _VARIABLE.sub("", value):
        raise UnresolvedReference(
            "has ${ without a name and } behind it: a reference is ${NAME}; a secret that really "
            "holds ${ must stand in a file (file:PATH)"
        )
    return _VARIABLE.sub(lambda match: source.variable(match.group(1)), value)
