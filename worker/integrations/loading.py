"""From a JSON file to an `Integration`, or to sentences that say what is wrong where."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from worker.counting import counted
from worker.errors import WrongUse
from worker.integrations.coherence import NOTHING_AROUND, Surroundings
from worker.integrations.json_document import NotAnObject, read_document
from worker.integrations.mistake_sentences import ID_RULE, sentences_of
from worker.integrations.model import Integration
from worker.integrations.safe_files import Stamp, UnusableFile, printable, read_regular
from worker.integrations.secret_references import (
    Resolution,
    SecretSource,
    misplaced_references,
    resolve_references,
)
from worker.integrations.text_fields import ID_PATTERN

EndpointCheck = Callable[[str], str | None]
MOST_FILE_BYTES: Final = 4 * 1024 * 1024
"""A thousand mappings with names of 200 characters take a tenth of this."""
_MOST_VALUES: Final = 10_000
"""A thousand mappings have half of this. Each value that is wrong is a mistake to be told of."""
_MOST_PROBLEMS: Final = 20
"""Told of one file; a file that is something else altogether would fill the log."""
_NAMELESS: Final = "nameless"
"""Stands for the id of a file that has none, so that its other mistakes are told too."""


@dataclass
class InvalidIntegration(Exception):
    """A file is no valid integration. `problems` name field and rule, never the value given.

    `organization_id` is None where it can't be read: then anybody's events may be meant.
    """

    path: Path
    problems: list[str]
    integration_id: str | None = None
    organization_id: str | None = None

    def __str__(self) -> str:
        return "\n".join(f"{printable(self.path)}: {problem}" for problem in self.problems)


class InvalidIntegrations(WrongUse):
    """The integrations' files can't be used as they are; the text has one line per problem."""

    def __init__(self, problems: list[InvalidIntegration]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class NoSuchIntegration(WrongUse, LookupError):
    """No file has the id that was asked for; the text names it."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """What an integration's file said: an integration, or what is wrong with it.

    `secret_stamps` are those of the files that it names; `can_be_tried_again` says that what is
    wrong may pass without any change of the file, as when no more files may be opened.
    """

    integration: Integration | None = None
    problem: InvalidIntegration | None = None
    secret_stamps: dict[Path, Stamp | None] = field(default_factory=dict)
    can_be_tried_again: bool = False


def load_integration(
    path: Path,
    secrets: SecretSource,
    endpoint_check: EndpointCheck,
    surroundings: Surroundings = NOTHING_AROUND,
) -> Integration:
    """Read and validate one integration's file. Raises `InvalidIntegration` with all problems at
    once.

    `endpoint_check` gives the reason why an endpoint may not be called, or None. A file without
    `id` is known by its name.
    """
    content = read_file(path, secrets, endpoint_check, surroundings)
    if content.integration is None:
        raise content.problem or InvalidIntegration(path, ["can't be understood"])
    return content.integration


def read_file(
    path: Path,
    secrets: SecretSource,
    endpoint_check: EndpointCheck,
    surroundings: Surroundings = NOTHING_AROUND,
) -> FileContent:
    """As `load_integration`; raises nothing, since one file must not keep others from loading."""
    resolution = Resolution()
    is_read = False
    try:
        document, problems = _read_object(path)
        is_read = True
        problems += _take_name(path, document)
        authentication = document.get("authentication")
        if isinstance(authentication, dict):
            resolution = resolve_references(authentication, secrets, path.parent)
            document["authentication"] = resolution.authentication
        problems += misplaced_references(document) + resolution.problems
        return FileContent(
            _validate(path, document, problems, endpoint_check, surroundings),
            secret_stamps=resolution.stamps,
        )
    except InvalidIntegration as invalid:
        return FileContent(
            problem=invalid.with_traceback(None),  # whose frames have the whole file
            secret_stamps=resolution.stamps,
            can_be_tried_again=not is_read or bool(resolution.problems),
        )
    except Exception as error:  # a fault of ours, or memory that is short
        sentence = f"can't be understood ({type(error).__name__})"
        return FileContent(problem=InvalidIntegration(path, [sentence]), can_be_tried_again=True)


def _validate(
    path: Path,
    document: dict[str, Any],
    problems: list[str],
    endpoint_check: EndpointCheck,
    surroundings: Surroundings,
) -> Integration:
    problems = _shortened(problems, len(problems))
    integration = None
    try:
        integration = Integration.model_validate(document, context=surroundings)
    except ValidationError as error:
        told = {problem.partition(": ")[0] for problem in problems}
        sentences = _shortened(*sentences_of(error, _MOST_PROBLEMS))
        problems += [one for one in sentences if one.partition(": ")[0] not in told]
    if integration is None:
        # Not as the error's successor: the garbage collector can't look into pydantic's errors, and
        # the frames in them, which hold what is raised here, would stay for good with the file.
        raise _invalid(path, problems, document)
    if problem := endpoint_check(integration.properties.dataflow_endpoint):
        problems.append(f"properties.dataflow_endpoint: {problem}")
    if problems:
        raise _invalid(path, problems, document)
    return integration


def _read_object(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        text = read_regular(path, MOST_FILE_BYTES)
        if sum(map(text.count, (b",", b"{", b"["))) > _MOST_VALUES:
            raise UnusableFile(f"has more than {_MOST_VALUES} values")
        return read_document(text)
    except NotAnObject as mistake:
        raise InvalidIntegration(
            path, [str(mistake)], organization_id=mistake.organization_id
        ) from None
    except UnusableFile as error:
        raise InvalidIntegration(path, [str(error)]) from None
    except OSError as error:
        why = (type(error) is OSError and error.strerror) or type(error).__name__
        raise InvalidIntegration(path, [f"can't be read ({why})"]) from None


def _take_name(path: Path, document: dict[str, Any]) -> list[str]:
    """A file without `id` is known by its name. What is wrong with a name that can't be one."""
    if "id" in document:
        return []
    document["id"] = path.stem
    if is_usable_id(path.stem):
        return []
    document["id"] = _NAMELESS
    return [f"the name of the file can't be the id ({ID_RULE}): rename it, or give it an id"]


def _invalid(path: Path, problems: list[str], document: dict[str, Any]) -> InvalidIntegration:
    """The id is only told when it is one: dead letters and metrics are named by it."""
    integration_id, organization_id = document["id"], document.get("organization_id")
    is_told = is_usable_id(integration_id) and integration_id is not _NAMELESS
    return InvalidIntegration(
        path,
        problems,
        integration_id if is_told else None,
        (organization_id.strip() or None) if isinstance(organization_id, str) else None,
    )


def _shortened(sentences: list[str], number: int) -> list[str]:
    """The first of `number` sentences, and how many more there are."""
    first = sentences[:_MOST_PROBLEMS]
    more = counted(number - len(first), "more problem")
    return [*first, f"and {more}"] if number > len(first) else first


def is_usable_id(text: object) -> bool:
    """Whether an integration may have this id, which names it in dead letters and metrics."""
    return isinstance(text, str) and re.fullmatch(ID_PATTERN, text) is not None
