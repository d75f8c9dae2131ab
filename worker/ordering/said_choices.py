"""What stands of an attribute beside its stamp, and the names that are no attribute's path.

docs/ordering.md has the whole state of a user as a table.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from worker.ordering.user_digests import both_digests
from worker.transform.decision_types import Source

WHOLE_RECORD: Final = "."
"""Workers before 0.2 kept one stamp here for a whole record. None is written any more."""
NEWEST_SENT: Final = "~"
"""A stamp here has the newest event time that was sent for the user."""

_SIGNS: Final = frozenset({WHOLE_RECORD, NEWEST_SENT, "!", "?"})
"""The last two are a tombstone and the mark of an unclear answer, see `store_protocol`."""


class Said(NamedTuple):
    """Who said the choice that stands, and how.

    `didomi_user`: the digest of whom the snapshot was of, empty for an event. `is_taken_back`: it
    was said by no longer naming it. `source`: what to write it from again, see `transform.sources`;
    of what is taken back, see `at`.
    """

    didomi_user: str = ""
    is_taken_back: bool = False
    source: Source | None = None


def at(time_ms: int) -> Source:
    """The source of what was taken back at that time (milliseconds since the epoch), which its
    stamp does not tell.
    """
    return ["", time_ms, False]


def newest_of(didomi_user: str) -> list[str]:
    """Where the stamp of the newest snapshot of a Didomi user is; the first is to be written, and
    during a rotation of the secret there is another one to be read.
    """
    return [f"@{digest}" for digest in both_digests(didomi_user) if digest]


def is_snapshot(name: str) -> bool:
    """Whether a name in the state is where the newest snapshot of a Didomi user is told."""
    return name.startswith("@")


def is_path(name: str) -> bool:
    """Whether a name in the state is the path of an attribute."""
    return not is_snapshot(name) and name not in _SIGNS
