"""`consent-worker state`: whether the state of newest-wins was lost, and an end to the alarm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, NoReturn

import typer

from worker.cli.command_support import BrokerAway, command_settings, complain, print_json, say
from worker.cli.erasure_after_loss import HOW_TO_GO_ON, erasing_integrations
from worker.delivery.rounds.epoch_watch import shown_time
from worker.ordering.epoch import Epochs, LastingEpochs
from worker.ordering.store_protocol import StoreUnavailable
from worker.settings import UnusableSetting, WorkerSettings
from worker.store_choice import lasting_store

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
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


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
) -> None:
    """Say what was lost and what follows, and end the alarm of the whole fleet."""
    settings = command_settings()
    erasing = asyncio.run(erasing_integrations(settings))
    if erasing:
        for one in erasing:
            complain(f"consent-worker: {one}")
        if not may_erase:
            complain(f"consent-worker: nothing is accepted; {HOW_TO_GO_ON}")
            raise typer.Exit(1)
    epochs = asyncio.run(_accept(settings)) or _unused(settings)
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


@asynccontextmanager
async def epochs_of(settings: WorkerSettings) -> AsyncIterator[LastingEpochs | None]:
    """The epochs of the workers' state, None where that is in memory. Raises `UnusableSetting`, and
    `BrokerAway` for what goes wrong during the block.
    """
    store = lasting_store(settings, None, is_worker=False)
    if store is None:
        yield None
        return
    try:
        yield store.epochs
    except StoreUnavailable as problem:
        raise BrokerAway(f"{problem}; run the command again, it may be repeated") from None
    finally:
        await store.close()


async def _read(settings: WorkerSettings) -> Epochs | None:
    async with epochs_of(settings) as epochs:
        if epochs is None:
            raise UnusableSetting(_IN_MEMORY)
        return await epochs.read()


async def _accept(settings: WorkerSettings) -> Epochs | None:
    """The epochs as they were before: exactly these losses are accepted."""
    async with epochs_of(settings) as epochs:
        if epochs is None:
            raise UnusableSetting(_IN_MEMORY)
        found = await epochs.read()
        if found is not None:
            await epochs.accept([one.epoch for one in found.open_losses])
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
