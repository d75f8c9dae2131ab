"""When a choice was made, in a form that a store can keep. Pure.

The order of two stamps is a decision of ours, which `newest_fold` explains.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MAX_EVENT_ID: Final = 64
"""Characters of an event id that are kept; a longer one is kept as its digest, so that no producer
can fill the state. Didomi's own ids are UUIDs of 36 characters."""

_ENCODED: Final = re.compile(r"(-?[0-9]{1,16})(?:\.(-?[0-9]{1,16}))?([n+])(.*)", re.DOTALL)


class Stamp(NamedTuple):
    """What orders two choices for one attribute: the greater is the newer. Times are ms since the
    epoch; `updated_ms` is 0 where there is none.
    """

    time_ms: int
    updated_ms: int
    is_refusal: bool
    event_id: str

    def encode(self) -> str:
        """Decimal times, `n` for a refusal or `+` for anything else, then the id as it is.

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
