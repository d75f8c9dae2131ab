"""`consent-worker state`: whether the state of newest-wins was lost, an end to the alarm, and which
integrations would erase choices at Adobe after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn

import typer

from worker.broker.broker_access import BrokerAway
from worker.cli.act_options import (
    ActOptions,
    AsOption,
    UnrecordedOption,
    WhyOption,
    act_options,
)
from worker.cli.command_act import CommandAct
from worker.cli.command_support import command_settings, complain, print_json, say
from worker.cli.json_output import JsonOption
from worker.cli.state_ids import learn_state_ids
from worker.counting import counted
from worker.delivery.inlets.inlet_answer import Answer
from worker.delivery.rounds.epoch_watch import shown_time
from worker.integrations.loading import InvalidIntegrations
from worker.integrations.model import Integration
from worker.integrations.safe_files import printable
from worker.integrations.told_mode import UnfitMode, in_mode
from worker.letters.state_epochs import AGAIN, epochs_of
from worker.ordering.epoch import Epochs
from worker.ordering.store_protocol import StoreUnavailable
from worker.service.registry_from_settings import build_registry
from worker.settings import UnusableSetting, WorkerSettings
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
    """A sentence for each integration that goes on by the state alone while a loss is open. Raises
    `BrokerAway` where the state is away: what can't be told is not accepted.
    """
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
    except StoreUnavailable as problem:
        raise BrokerAway(f"{problem}{AGAIN}") from None
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


app = typer.Typer(
    no_args_is_help=True, help="Whether the state has lost what it knew of the newest choices."
)

FOLLOWS: Final = (
    "An older choice that came late (a retry, a parked event, a copy) may have replaced a newer "
    "one at Adobe, or may yet. Have the newest choices published again, as the runbook says.",
    "What `consent-worker erase` left there is gone, too: erase these persons again.",
    "Dead letters of before are replayed only with `dead-letters replay --after-state-loss`, which "
    "can replace newer choices; with --dry-run and without that option it counts them.",
)
_IN_MEMORY: Final = (
    "`state` is about one that lasts: set CONSENT_WORKER_STATE_URL as for the workers. Without it "
    "a worker has its state in memory, and every start forgets it"
)


@app.command("show")
def show(as_json: JsonOption = False) -> None:
    """Show since when there is a state, and what was lost before."""
    settings = command_settings()
    epochs = asyncio.run(_read(settings)) or _unused(settings)
    if as_json:
        print_json(_document(epochs))
    else:
        _tell(epochs)


@app.command("accept")
def accept(
    as_json: JsonOption = False,
    may_erase: Annotated[
        bool,
        typer.Option(
            "--may-erase",
            help="Also where integrations complete whole records by the state, and go on without "
            "what it has lost.",
        ),
    ] = False,
    as_name: AsOption = "",
    why: WhyOption = "",
    unrecorded: UnrecordedOption = False,
) -> None:
    """Say what was lost and what follows, and end the alarm of the whole fleet."""
    settings = command_settings()
    said = act_options(settings, as_name, why, may_be_unrecorded=unrecorded)
    erasing = asyncio.run(erasing_integrations(settings))
    if erasing:
        for one in erasing:
            complain(f"consent-worker: {one}")
        if not may_erase:
            complain(f"consent-worker: nothing is accepted; {HOW_TO_GO_ON}")
            raise typer.Exit(1)
    epochs = asyncio.run(_accept(settings, said, len(erasing))) or _unused(settings)
    accepted = [one.epoch for one in epochs.open_losses]
    if as_json:
        print_json(_document(epochs) | {"newly_accepted": accepted})
        return
    _tell(epochs)
    if accepted:
        for sentence in FOLLOWS:
            say(f"- {sentence}")
        say(
            f"accepted: each worker ends its alarm within {settings.watch_seconds:g} s "
            "(CONSENT_WORKER_WATCH_SECONDS). docs/runbooks/state-lost.md has the way from here"
        )
    else:
        say("nothing to accept")


async def _read(settings: WorkerSettings) -> Epochs | None:
    async with epochs_of(settings) as epochs:
        if epochs is None:
            raise UnusableSetting(_IN_MEMORY)
        return await epochs.read()


async def _accept(settings: WorkerSettings, said: ActOptions, erasing: int) -> Epochs | None:
    """The epochs as they were before: exactly these losses are accepted."""
    async with epochs_of(settings) as epochs:
        if epochs is None:
            raise UnusableSetting(_IN_MEMORY)
        found = await epochs.read()
        lost = [] if found is None else [one.epoch for one in found.open_losses]
        if lost:
            about = f"the loss of the state, of epoch {', '.join(lost)}"
            if erasing:
                about += f", though choices may be erased ({counted(erasing, 'sentence')} told so)"
            async with CommandAct(settings, said, "accepted", about).on_record():
                await epochs.accept(lost)
        return found


def _unused(settings: WorkerSettings) -> NoReturn:
    say(f"no worker has used this state, or not with the namespace {settings.namespace}")
    raise typer.Exit(1)


def _tell(epochs: Epochs) -> None:
    began = shown_time(epochs.began_ms)
    say(f"the state knows what was sent since {began} (epoch {epochs.present})")
    for one in epochs.losses:
        noticed = f"lost: epoch {one.epoch}, noticed {shown_time(one.noticed_ms)}"
        say(f"{noticed}, accepted {shown_time(one.accepted_ms)}" if one.accepted_ms else noticed)
    if not epochs.losses:
        say("no loss was noticed")


def _document(epochs: Epochs) -> dict[str, Any]:
    return {
        "epoch": epochs.present,
        "began": shown_time(epochs.began_ms),
        "lost": [
            {
                "epoch": one.epoch,
                "noticed": shown_time(one.noticed_ms),
                "accepted": shown_time(one.accepted_ms) if one.accepted_ms else None,
            }
            for one in epochs.losses
        ],
    }
