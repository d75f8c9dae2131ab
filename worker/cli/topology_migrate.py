"""`consent-worker topology migrate`: what has to change on the broker for this version."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from worker.broker.broker_access import alone, broker_connection, topology_of
from worker.broker.topology_execution import TopologyChange
from worker.broker.topology_plan import Migration, Step, plan_migration
from worker.broker.topology_state import ASIDE, Found, read_state, read_unlisted
from worker.cli.act_options import (
    ActOptions,
    AsOption,
    UnrecordedOption,
    WhyOption,
    act_options,
)
from worker.cli.command_act import CommandAct
from worker.cli.command_support import command_settings, complain, say
from worker.cli.json_output import JsonListOption, print_json_list
from worker.cli.terminal import shown
from worker.cli.topology_stream import declare_stream_or_complain
from worker.counting import counted
from worker.interrupt import Stop, stoppable
from worker.moments import span_seconds
from worker.settings import WorkerSettings, event_queue_problem
from worker.wire.message_tap import TappedTransport

_WAIT: Final = "10m"
"""The delay holds a message for 512 s at the most."""

_SETTLE: Final = "370s"
"""Twice the 180 s after which RabbitMQ repeats an unconfirmed dead letter, and some (see
`delay_emptying`)."""


def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
    ] = False,
    wait: Annotated[
        str, typer.Option(help="How long messages may take to leave queues of the delay.")
    ] = _WAIT,
    settle: Annotated[
        str,
        typer.Option(
            help="How long to wait before a queue is deleted for dead letters that are not "
            "confirmed: twice the broker's dead_letter_worker_publisher_confirm_timeout. 0s where "
            "`rabbitmqctl list_queues name messages_ready messages` has shown two same numbers for "
            "each queue.",
        ),
    ] = _SETTLE,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            help="An event queue that is in no list any more, such as events.3: its messages go to "
            "the queue events, and it is deleted. Unbind it from exchanges of your own before. May "
            "be repeated; workers that do not name it may go on.",
        ),
    ] = None,
    as_name: AsOption = "",
    why: WhyOption = "",
    unrecorded: UnrecordedOption = False,
    as_json: JsonListOption = False,
) -> None:
    """Make the broker's exchanges and queues those of this version, and lose no message.

    What is missing is declared. A queue with other arguments is made anew: its messages are put
    aside meanwhile, and those of the delay are waited for. All workers must be stopped then, and
    producers that publish to a queue by its name or by an exchange of their own; those that publish
    to the worker's exchanges may go on. Interrupted, it goes on when it is run again.
    """
    settings = command_settings()
    dropped = _dropped(drop or [], settings)
    said = act_options(settings, as_name, why, may_be_unrecorded=unrecorded)
    patience = _seconds("--wait", wait), _seconds("--settle", settle)
    asyncio.run(_migrate(dry_run, patience, dropped, said, as_json))


def _seconds(option: str, text: str) -> int:
    try:
        return span_seconds(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from None


def _dropped(names: list[str], settings: WorkerSettings) -> list[str]:
    """The full names of queues that are to be gone."""
    for one in names:
        if one in settings.event_queues:
            raise typer.BadParameter(
                f"--drop {shown(one)} is in CONSENT_WORKER_EVENT_QUEUES: take it out there first"
            )
        if (problem := event_queue_problem(one)) is not None:
            raise typer.BadParameter(f"--drop {problem}")
    return [f"{settings.namespace}.{one}" for one in dict.fromkeys(names)]


async def _migrate(
    dry_run: bool, patience: tuple[int, int], dropped: list[str], said: ActOptions, as_json: bool
) -> None:
    settings = WorkerSettings()
    topology = topology_of(settings)
    lock = f"{topology.names.namespace}.topology.lock"
    transport = TappedTransport()

    async def plan() -> Migration:
        for one in await read_unlisted(connection, topology):
            if one.name.removesuffix(ASIDE) not in dropped:
                complain(_unlisted(one, settings.namespace))
        return plan_migration(await read_state(connection, topology, dropped), topology)

    async with broker_connection(settings, "topology", transport=transport) as connection:
        with stoppable() as stop:
            if dry_run:
                migration = await plan()
                _tell(migration, as_json)
                if migration.obstacles:
                    raise typer.Exit(1)
                return
            async with alone(connection, lock, stop, complain, "the topology"):
                migration = await plan()
                _tell(migration, as_json)
                if not migration.obstacles:  # first, since what is changed is put on record there
                    await declare_stream_or_complain(settings, connection)
                change = TopologyChange(connection, transport, topology, complain)
                async with _on_record(settings, said, migration):
                    await _until_stopped(change.run(migration, *patience), stop)


def _on_record(
    settings: WorkerSettings, said: ActOptions, migration: Migration
) -> AbstractAsyncContextManager[None]:
    """Of what is to be changed, if anything."""
    steps = migration.steps
    if migration.obstacles or not steps:
        return nullcontext()
    told = ", ".join(f"{one.action} {one.name}" for one in steps)
    about = f"the topology in {counted(len(steps), 'step')}: {told}"
    return CommandAct(settings, said, "migrated", about).on_record()


def _unlisted(found: Found, namespace: str) -> str:
    name = found.name.removeprefix(f"{namespace}.").removesuffix(ASIDE)
    return (
        f"queue {found.name} has {counted(found.messages, 'message')}, and "
        f"CONSENT_WORKER_EVENT_QUEUES does not name it; if no worker's does, --drop {name} moves "
        "them and deletes it"
    )


async def _until_stopped(work: Any, stop: Stop) -> None:
    running = asyncio.create_task(work)
    asked = asyncio.create_task(stop.asked.wait())
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not running.done():
        running.cancel()
        await asyncio.wait({running})
        stop.check("run the command again, and it goes on where it was")
    running.result()


def _tell(migration: Migration, as_json: bool) -> None:
    for one in migration.obstacles:
        complain(one)
    if as_json:
        print_json_list(asdict(one) for one in migration.steps)
        return
    for step in migration.steps:
        say(_line(step))
    if not migration.steps:
        say("nothing is to be changed")


def _line(step: Step) -> str:
    line = f"{step.action:<8} {step.kind:<8} {step.name}"
    if step.waits:
        line += f"  when {counted(step.messages, 'message')} left it"
    elif step.messages:
        line += f"  {counted(step.messages, 'message')}"
    return line + (f"  ({shown(step.detail)})" if step.detail else "")
