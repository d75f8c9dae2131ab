"""`consent-worker erase`: a person wants to be forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.broker.broker_access import BrokerAway
from worker.broker.letter_filter import Filter
from worker.cli.act_options import ActOptions, AsOption, WhyOption, act_options
from worker.cli.command_act import CommandAct
from worker.cli.command_support import complain
from worker.cli.dead_letter_pass import one_pass
from worker.cli.erased_receipts import DRY_RUN, IN_MEMORY, write_erased_receipts
from worker.cli.erasure_report import OUT_OF_REACH, sentence_of, tell_erasure
from worker.cli.integrations import find_integration
from worker.cli.json_output import JsonOption
from worker.cli.person_ids import person_ids
from worker.cli.state_ids import learn_state_ids
from worker.counting import counted
from worker.delivery.person_erasure import Concern, Person, erase_from_state
from worker.evidence.erasure_receipts import EVERYWHERE
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.model import Integration
from worker.letters.letter_events import LetterEvent, OpenedLetter
from worker.ordering.secret_marks import SecretRefused
from worker.ordering.store_protocol import StoreUnavailable
from worker.service.registry_from_settings import build_registry
from worker.settings import UnusableSetting, WorkerSettings
from worker.store_choice import lasting_store, user_keys


def erase(
    integration: Annotated[
        list[str] | None,
        typer.Option(
            help="Only at this integration, which leaves the dead letters of the others; may be "
            "repeated. All without one."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what dead letters would be removed, and do nothing."),
    ] = False,
    as_name: AsOption = "",
    why: WhyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Forget a person, whose id is asked for or read from standard input, one id a line."""
    settings = WorkerSettings()
    # What somebody may ask for by law does not wait for the trail.
    said = act_options(settings, as_name, why, may_be_unrecorded=True)
    registry = build_registry(settings)
    registry.load()
    chosen = [find_integration(registry, one) for one in integration or ()]
    person = Person(person_ids(), chosen or registry.integrations, everywhere=not chosen)
    report = asyncio.run(_erase(settings, person, registry, chosen, dry_run, said))
    tell_erasure(report, as_json)
    for sentence in registry.problems:
        complain(f"consent-worker: not erased there: {sentence}")
    is_left = report["kept"] or report["receipts_to_repeat"] or registry.problems
    if is_left or not (dry_run or report["erased_before"]):
        raise typer.Exit(1)


async def _erase(
    settings: WorkerSettings,
    person: Person,
    registry: IntegrationRegistry,
    chosen: list[Integration],
    dry_run: bool,
    said: ActOptions,
) -> dict[str, object]:
    """Both, on record."""
    if dry_run:
        return await _erased(settings, person, registry, chosen, dry_run)
    places = ", ".join(one.id for one in chosen) or "all integrations"
    integration = chosen[0].id if len(chosen) == 1 else ""
    act = CommandAct(settings, said, "erased", f"a person at {places}", integration)
    async with act.on_record():
        report = await _erased(settings, person, registry, chosen, dry_run)
        act.result = sentence_of(report)
        return report


async def _erased(
    settings: WorkerSettings,
    person: Person,
    registry: IntegrationRegistry,
    chosen: list[Integration],
    dry_run: bool,
) -> dict[str, object]:
    """The state first: what is replayed or comes back meanwhile is skipped already. The receipts
    last: those of what a worker had in hand meanwhile stand before them in the stream.
    """
    before_ms = int(time.time() * 1000)
    kept_seconds = settings.block_patience_seconds + settings.ordering_retention_seconds
    chosen_ids = [one.id for one in chosen or registry.integrations]
    keys = None
    if not dry_run:
        keys = await _erase_from_state(
            settings, person, registry, chosen_ids, before_ms, kept_seconds
        )
    others = {one.id for one in registry.integrations} - {*chosen_ids}
    removed, kept = await _remove_letters(person, others, dry_run)
    receipts = DRY_RUN if dry_run else IN_MEMORY
    if keys is not None:
        places = [(one.id, one.organization_id) for one in chosen] or EVERYWHERE
        receipts = await write_erased_receipts(settings, person.ids, keys, places)
    return {
        "erased_before": None
        if keys is None
        else datetime.fromtimestamp(before_ms / 1000, UTC).isoformat(),
        "kept_for_seconds": kept_seconds,
        "integrations": len(chosen_ids),
        "dead_letters_removed": removed,
        "kept": kept,
        "receipts_written": receipts.written,
        "receipts_note": receipts.note,
        "receipts_to_repeat": receipts.is_left,
        "dry_run": dry_run,
        "out_of_reach": list(OUT_OF_REACH),
    }


async def _erase_from_state(
    settings: WorkerSettings,
    person: Person,
    registry: IntegrationRegistry,
    chosen_ids: list[str],
    before_ms: int,
    kept_seconds: float,
) -> dict[str, bytes] | None:
    """The keys by which receipts call the person, by month; None with a state in memory."""
    keys = user_keys(settings)
    store = lasting_store(settings, keys.marks, is_worker=False)
    if store is None:
        return None
    try:
        await store.admit()
        await learn_state_ids(registry, store)
        for integration in registry.integrations:
            users = person.users(integration, keys) if integration.id in chosen_ids else ()
            for user in users:
                await erase_from_state(store, integration.state_id, user, before_ms, kept_seconds)
        return await store.month_keys.known()
    except SecretRefused as refused:
        raise UnusableSetting(f"setting CONSENT_WORKER_ORDERING_SECRET: {refused}") from None
    except StoreUnavailable as problem:
        raise BrokerAway(f"{problem}; run the command again, it may be repeated") from None
    finally:
        await store.close()


async def _remove_letters(
    person: Person, others: Collection[str], dry_run: bool
) -> tuple[int, list[str]]:
    """How many dead letters were removed, and the ids of those that speak of other people, too.
    Those of `others`, integrations at which nothing is erased, stay.
    """
    removed = 0
    kept: list[str] = []

    def concern_of(event: LetterEvent) -> Concern:
        if event.letter.integration in others:
            return "not theirs"
        return person.concern_of(event.headers, event.body)

    def so_far() -> str:
        return f"removed {counted(removed, 'dead letter')}; run the command again for the rest"

    def theirs_of(opened: OpenedLetter) -> OpenedLetter | None:
        theirs = opened.only_of_chosen(lambda one: concern_of(one) == "theirs")
        kept.extend(one.letter.id for one in theirs.others if concern_of(one) == "among others")
        return theirs if theirs.chosen else None

    async with one_pass("erased", so_far=so_far) as run:
        async for theirs in run.matching(Filter(), theirs_of):
            if not dry_run:
                await theirs.discard(run.letters)
            removed += len(theirs.chosen)
    run.stop.check(so_far())
    return removed, kept
