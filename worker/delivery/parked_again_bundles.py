"""What a worker tells of bundles that it parked again unopened: there is no receipt of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOST_BYTES: Final = 2 * 1024
"""Of JSON, in each state of the worker, which comes every five seconds: room for some fifty
integrations, and each parks a bundle again every 256 s."""
_BYTES_BESIDE_ID: Final = len('"":1772452800000,')


class ParkedAgain:
    """Until when the latest of the bundles that were parked again is parked, by integration, as far
    as that was not told yet. Only an id that `is_known` is told; "" stands for the others, and for
    none.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._due_at_ms: dict[str, int] = {}

    def note(self, integration_id: str | None, due_at_ms: int) -> None:
        """The broker has a bundle again, which comes back then (ms since 1970)."""
        name = integration_id if integration_id and self._is_known(integration_id) else ""
        self._due_at_ms[name] = max(due_at_ms, self._due_at_ms.get(name, 0))

    def told(self) -> dict[str, int]:
        """Until when bundles are parked, by integration: as many as there is room for, those first
        that waited longest to be told; now they are.
        """
        told: dict[str, int] = {}
        size = 0
        for name, due_at_ms in self._due_at_ms.items():
            size += len(name) + _BYTES_BESIDE_ID
            if size > MOST_BYTES:
                break
            told[name] = due_at_ms
        for name in told:
            del self._due_at_ms[name]
        return told
