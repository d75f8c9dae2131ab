"""The state ids of the integrations, for commands that use the state."""

from __future__ import annotations

from functools import partial

from worker.integrations.integration_registry import IntegrationRegistry
from worker.ordering.lasting_store import LastingStore
from worker.ordering.state_takeover import look_up


async def learn_state_ids(registry: IntegrationRegistry, store: LastingStore) -> None:
    """Have the integrations of `registry`, which is loaded, know their state ids. Raises
    `StoreUnavailable`.
    """
    registry.ask_states = partial(look_up, store.state_ids)
    await registry.settle()
