"""Which integrations would erase choices at Adobe once a loss of the state is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.cli.state_id_lookup import learn_state_ids
from worker.delivery.inlets.stored_answer import Answer
from worker.integrations.loading import InvalidIntegrations
from worker.integrations.model import Integration
from worker.integrations.safe_files import printable
from worker.integrations.told_mode import UnfitMode, in_mode
from worker.ordering.store_protocol import StoreUnavailable
from worker.service.built_from_settings import build_registry
from worker.settings import WorkerSettings
from worker.store_choice import lasting_store

ERASES: Final = (
    "its inlet is XDM-compatible and dataset_starts_empty is true, so once the loss is accepted "
    "each message replaces the record of a person whom the state does not know any more, and "
    "erases what that person chose before and does not say again"
)
MAY_ERASE: Final = "of which kind its inlet is, is not known here, and if it is XDM-compatible: "
SNAPSHOTS_ERASE: Final = (
    "its inlet is XDM-compatible, so once the loss is accepted the next snapshot of a person whom "
    "the state does not know any more replaces the record, and erases what other Didomi users "
    "(devices) of that person said, until each of them has made a snapshot again"
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
    "let a worker find out the kind of an inlet that is not known, or set payload_mode. Of single "
    "choices nothing is erased where those persons can be looked up (grant the right, give the "
    "identity a namespace, and leave dataset_starts_empty out). --may-erase accepts it, after "
    "which everybody's newest choices are to be published again"
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
        told = [(one.id, _erasing(one, kept)) for one in registry.integrations]
        erasing = [f"{integration_id}: {sentence}" for integration_id, sentence in told if sentence]
        return erasing + [f"{printable(one.path)}: {BAD}" for one in registry.invalid]
    except InvalidIntegrations:
        return [UNTOLD]
    except StoreUnavailable:
        return []  # who accepts the loss is told so
    finally:
        await store.close()


def _erasing(integration: Integration, kept: Mapping[str, str]) -> str:
    """What follows for this one; empty where nothing is erased. An inlet of which nobody knows the
    kind may be one that replaces records: a loss of the state has lost what was kept of it, too.
    """
    if not integration.enabled:
        return ""
    if integration.payload_mode != "auto":
        return _sentence(integration)
    answer = Answer.decode(kept.get(integration.state_id, ""))
    told = answer.told if answer and answer.inlet == integration.inlet_digest else "asked"
    if told == "upsert":
        return ""
    try:
        sentence = _sentence(in_mode(integration, "xdm"))
    except UnfitMode:
        return ""  # nothing is sent to an XDM-compatible inlet then
    return MAY_ERASE + sentence if sentence and told != "xdm" else sentence


def _sentence(integration: Integration) -> str:
    if not integration.replaces_record:
        return ""
    if not integration.completes:
        return SNAPSHOTS_ERASE
    return ERASES if integration.dataset_starts_empty else ""
