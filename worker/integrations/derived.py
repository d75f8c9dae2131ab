"""What is made of an integration once, and kept as long as the integration is, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar
from weakref import ReferenceType, ref

from worker.integrations.model import Integration

Made = TypeVar("Made")


class Derived(Generic[Made]):
    """Makes it of an integration when it is asked for first, and again when a changed one is in
    force. It must not hold the integration: credentials of one that is gone would stay.
    """

    def __init__(self, make: Callable[[Integration], Made]) -> None:
        self._make = make
        self._known: dict[str, tuple[ReferenceType[Integration], Made]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, integration: Integration) -> Made:
        """What was made of this integration."""
        known = self._known.get(integration.id)
        if known is None or known[0]() is not integration:
            known = self._known[integration.id] = (
                ref(integration, partial(self._forget, integration.id)),
                self._make(integration),
            )
        return known[1]

    def _forget(self, integration_id: str, gone: ReferenceType[Integration]) -> None:
        known = self._known.get(integration_id)
        if known is not None and known[0] is gone:
            del self._known[integration_id]
