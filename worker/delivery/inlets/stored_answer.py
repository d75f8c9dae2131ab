"""What is known of an inlet, as the store keeps it. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, cast

from worker.integrations.model import WrittenMode

Told = WrittenMode | Literal["untold", "asked"]
"""The mode that fits the inlet; `untold`: Adobe does not tell it this credential; `asked`: nothing
is known but since when Adobe is being asked."""
_TEXT: Final = re.compile(r"(upsert|xdm|untold|asked) ([0-9]{1,16}) ([0-9a-f]{16})")


class Answer(NamedTuple):
    """`at_ms` is when it was had (ms since 1970), `inlet` the digest of what it is about: another
    inlet makes it void.
    """

    told: Told
    at_ms: int
    inlet: str

    def encode(self) -> str:
        return f"{self.told} {self.at_ms} {self.inlet}"

    @classmethod
    def decode(cls, text: str) -> Answer | None:
        """None for what is none of ours."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        told, at_ms, inlet = found.groups()
        return cls(cast(Told, told), int(at_ms), inlet)
