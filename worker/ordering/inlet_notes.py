"""What a fleet has found out of its integrations' inlets: one short text each, which the store
keeps and does not understand.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

MOST_INLETS: Final = 100_000
MOST_CHARACTERS: Final = 256
"""Bounds of what is kept."""


class InletKeeper(Protocol):
    """Where a short text of each integration's inlet is kept. Every method may raise
    `StoreUnavailable`.
    """

    async def keep(self, state_id: str, text: str) -> None:
        """Keep `text` of an integration's inlet in place of what was kept before, until the store
        loses its data. What is beyond the bounds is not kept.
        """
        ...

    async def kept(self, state_ids: Collection[str]) -> dict[str, str]:
        """The texts kept of the inlets of integrations with these state ids, by state id."""
        ...


class MemoryInlets:
    """Keeps what is known of integrations' inlets within this process."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    async def keep(self, state_id: str, text: str) -> None:
        """See `InletKeeper`."""
        has_room = state_id in self._kept or len(self._kept) < MOST_INLETS
        if has_room and len(text) <= MOST_CHARACTERS:
            self._kept[state_id] = text

    async def kept(self, state_ids: Collection[str]) -> dict[str, str]:
        """See `InletKeeper`."""
        return {one: self._kept[one] for one in state_ids if one in self._kept}
