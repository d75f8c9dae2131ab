"""The targets, in the order in which they are told."""

from __future__ import annotations

from typing import Final

from devtools.fuzz.target import Target
from devtools.fuzz.targets import (
    beside,
    bundles,
    door,
    environment,
    events,
    files,
    headers,
    http,
    line,
    published,
    replies,
    said,
    stamps,
)

TARGETS: Final[tuple[Target, ...]] = (
    *events.TARGETS,
    *headers.TARGETS,
    *line.TARGETS,
    *bundles.TARGETS,
    *replies.TARGETS,
    *files.TARGETS,
    *stamps.TARGETS,
    *beside.TARGETS,
    *said.TARGETS,
    *environment.TARGETS,
    *published.TARGETS,
    *http.TARGETS,
    *door.TARGETS,
)
