"""Which integrations would erase choices at Adobe once a loss of the state is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.cli.state_ids import learn_state_ids
from worker.delivery.inlets.answer import Answer
from worker.integrations.files import printable
from worker.integrations.loading import InvalidIntegrations
from worker.integrations.model import Integration
from worker.integrations.modes import UnfitMode, in_mode
from worker.ordering.store import StoreUnavailable
from worker.service import build_registry
from worker.settings import WorkerSettings
from worker.stores import lasting_store

ERASES: Final = (
    "its inlet is XDM-compatible and dataset_starts_empty is true, so once the loss is accepted "
    "each message replaces the record of a person whom the state does not know any more, and "
    "erases what that person chose before and does not say again"
)
UNTOLD: Final = (
    "which integrations would erase choices can't be told, since CONSENT_WORKER_INTEGRATIONS can't "
    "be read"
)
BAD: Final = (
    "is not valid here (`consent-worker integrations validate`; are its secrets at hand?), so "
    "whether it would erase choices can't be told"
)
HOW_TO_GO_ON: Final = (
    "publish everybody's choices again first, or let those persons be looked up (grant the right, "
    "and give the identity a namespace): then nothing is erased. --may-erase accepts it"
)


async def erasing_integrations(settings: WorkerSettings) -> list[str]:
    """A sentence for each that goes on by the state alone, while a loss of it is open."""
    store = lasting_store(settings, None, is_worker=False)
    if store is None:
        return []
    try:
        epochs = await store.epochs.read()
        if epochs is None or not epochs.open_losses:
            return []
        registry = build_registry(settings)
        registry.load()
        await learn_state_ids(registry, store)
        kept = await store.inlets.kept([one.state_id for one in registry.integrations])
        erasing = [f"{one.id}: {ERASES}" for one in registry.integrations if _erases(one, kept)]
        return erasing + [f"{printable(one.path)}: {BAD}" for one in registry.invalid]
    except InvalidIntegrations:
        return [UNTOLD]
    except StoreUnavailable:
        return []  # who accepts the loss is told so
    finally:
        await store.close()


def _erases(integration: Integration, kept: Mapping[str, str]) -> bool:
    if not integration.enabled or not integration.dataset_starts_empty:
        return False
    if integration.payload_mode == "auto":
        answer = Answer.decode(kept.get(integration.state_id, ""))
        if answer is None or answer.told != "xdm" or answer.inlet != integration.inlet_digest:
            return False
        try:
            integration = in_mode(integration, "xdm")
        except UnfitMode:
            return False
    return integration.completes
