"""When a choice was made, in a form that a store can keep, and what stands of an attribute beside
that. Pure.

The order of two stamps is a decision of ours, which `newest_fold` explains. docs/ordering.md has
the whole state of a user as a table.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from worker.ordering.user_digests import both_digests
from worker.transform.decision_types import Source

MAX_EVENT_ID: Final = 64
"""Characters of an event id that is kept: a longer one is a digest, and so is each that may be a
person's, see `UserKeys.without_person`. Didomi's own ids are UUIDs of 36 characters."""

_ENCODED: Final = re.compile(r"(-?[0-9]{1,16})(?:\.(-?[0-9]{1,16}))?([n+])(.*)", re.DOTALL)


class Stamp(NamedTuple):
    """What orders two choices for one attribute: the greater is the newer. Times are ms since the
    epoch; `updated_ms` is 0 where there is none.
    """

    time_ms: int
    updated_ms: int
    is_refusal: bool
    event_id: str

    def is_of(self, other: Stamp) -> bool:
        """Whether both are of one event. If it is a refusal follows from how its mapping writes the
        choice, and that may have changed.
        """
        return self.event_id == other.event_id and self[:2] == other[:2]

    def encode(self) -> str:
        """The stamp as text: decimal times, `n` for a refusal or `+` for anything else, then the id
        as it is.

        With a UUID for an id that is at most 64 bytes, up to which Redis stores the values of a
        small hash compactly (its setting hash-max-listpack-value).
        """
        updated = f".{self.updated_ms}" if self.updated_ms else ""
        return f"{self.time_ms}{updated}{'n' if self.is_refusal else '+'}{self.event_id}"

    @classmethod
    def decode(cls, text: str) -> Stamp:
        """The stamp that `encode` wrote as `text`, exactly; ValueError for any other text."""
        found = _ENCODED.fullmatch(text)
        if found is None:
            raise ValueError("not a stamp")
        time_ms, updated_ms, mark, event_id = found.groups()
        return cls(int(time_ms), int(updated_ms or 0), mark == "n", event_id)


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
    of what is taken back, see `at`. `is_unreadable`: there was something, which nobody can read.
    """

    didomi_user: str = ""
    is_taken_back: bool = False
    source: Source | None = None
    is_unreadable: bool = False


def at(time_ms: int) -> Source:
    """The source of a choice that was taken back at that time (milliseconds since the epoch), which
    its stamp does not tell.
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
