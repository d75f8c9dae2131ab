"""What is made of an integration once, and kept as long as the integration is, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from worker.integrations.model import Integration

Made = TypeVar("Made")


class Derived(Generic[Made]):
    """Makes it of an integration when it is asked for first. It is kept on the integration itself,
    under `name`: a changed integration makes its own, and one that is gone takes it along. What is
    made is never None.
    """

    def __init__(self, name: str, make: Callable[[Integration], Made]) -> None:
        self._name = f"_made_{name}"
        self._make = make

    def of(self, integration: Integration) -> Made:
        """What was made of this integration."""
        kept = integration.__dict__  # as `cached_property` does, whose room may not import ours
        made: Made | None = kept.get(self._name)
        if made is None:
            made = kept[self._name] = self._make(integration)
        return made
