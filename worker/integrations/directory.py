"""The files of the integrations' directory: which there are, and which must be read again."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.integrations.coherence import NOTHING_AROUND, Surroundings
from worker.integrations.loading import (
    EndpointCheck,
    FileContent,
    InvalidIntegration,
    read_file,
)
from worker.integrations.safe_files import Stamp, stamp_from, stamp_of
from worker.integrations.secret_references import SecretSource


@dataclass(frozen=True, slots=True)
class FileReading:
    """An integration's file as it was read: its stamp from before, None for one that could not be
    looked at.

    `is_final` says that there is nothing to gain from reading it again while the stamps are equal.
    """

    content: FileContent
    stamp: Stamp | None
    is_final: bool

    def is_current(self, stamp: Stamp | None) -> bool:
        """Whether neither the file nor a secret that it names has changed; it has `stamp` now."""
        return (
            self.is_final
            and self.stamp == stamp
            and all(stamp_of(path) == one for path, one in self.content.secret_stamps.items())
        )


Readings = Mapping[Path, FileReading]


def read_directory(
    directory: Path,
    before: Readings,
    secrets: SecretSource,
    endpoint_check: EndpointCheck,
    now_ns: int,
    surroundings: Surroundings = NOTHING_AROUND,
) -> Readings:
    """Every integration file of `directory`, by path; what is unchanged since `before` is not read.

    Returns `before` itself when nothing has changed.

    `now_ns` is the time since the epoch. Raises `InvalidIntegration` when the directory can't be
    listed.
    """
    readings = {}
    for path, stamp in _list(directory, {one.name: one for one in before}):
        known = before.get(path)
        if known is not None and known.is_current(stamp):
            readings[path] = known
            continue
        content = read_file(path, secrets, endpoint_check, surroundings)
        readings[path] = FileReading(content, stamp, _is_final(content, stamp, now_ns))
    has_changed = readings.keys() != before.keys() or any(
        before[path] is not reading for path, reading in readings.items()
    )
    return readings if has_changed else before


def _list(directory: Path, known: Mapping[str, Path]) -> list[tuple[Path, Stamp | None]]:
    """The `*.json` files, by name. Hidden names, which editors leave, and what is no regular file
    are none; a link into nowhere is one that can't be read.

    Paths that are `known` by their names are those again: to make, order and compare thousands of
    new ones takes longer than to look at the files.
    """
    files: dict[str, Stamp | None] = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if not entry.name.endswith(".json") or entry.name.startswith("."):
                    continue
                try:
                    status = entry.stat()
                except OSError:
                    files[entry.name] = None
                    continue
                if stat.S_ISREG(status.st_mode):
                    files[entry.name] = stamp_from(status)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidIntegration(directory, ["is not a directory"]) from None
    except OSError as error:
        raise InvalidIntegration(directory, [f"can't be read ({type(error).__name__})"]) from None
    return [(known.get(name) or directory / name, files[name]) for name in sorted(files)]


def _is_final(content: FileContent, stamp: Stamp | None, now_ns: int) -> bool:
    stamps = [stamp, *content.secret_stamps.values()]
    return not content.can_be_tried_again and not any(
        one is None or one.is_young(now_ns) for one in stamps
    )
