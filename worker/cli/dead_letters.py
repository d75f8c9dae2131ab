"""`consent-worker dead-letters`: list, show, replay, discard, export."""

from __future__ import annotations

import asyncio
import base64
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import orjson
import typer
from aio_pika.abc import AbstractIncomingMessage

from worker.adobe.replies import ErrorCode
from worker.broker.dead_letter import DeadLetter, Filter, describe
from worker.broker.dead_letters import DeadLetters, NotReplayed
from worker.broker.in_flight import InFlight
from worker.broker.topology import Names
from worker.cli.alone import alone
from worker.cli.interrupt import Stop, stoppable
from worker.cli.lost_state import LostStateGuard
from worker.cli.progress import progress
from worker.cli.shared import broker_connection, command_settings, complain, print_json, say
from worker.cli.streams import Output, complete_file
from worker.cli.terminal import in_column, json_shown, shown
from worker.delivery.outcome import DeadReason, codes_of
from worker.settings import WorkerSettings
from worker.wire.errors import is_connection_error

app = typer.Typer(no_args_is_help=True, help="Inspect, replay and discard dead letters.")

_AT_ONCE: Final = 100
_READERS: Final = 8
_NAMED_AT_MOST: Final = 20
_UNKNOWN: Final = "unknown"
_REASONS: Final = codes_of(DeadReason) | {"unroutable"}
_ERRORS: Final = codes_of(DeadReason) | codes_of(ErrorCode)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
IntegrationOption = Annotated[str, typer.Option(help="Only those of this integration.")]
ReasonOption = Annotated[str, typer.Option(help="Only those with this reason code.")]
OlderOption = Annotated[str, typer.Option(help="Only those dead for longer, such as 90s, 2h, 7d.")]
NewerOption = Annotated[str, typer.Option(help="Only those dead for less long.")]
AfterLossOption = Annotated[
    bool,
    typer.Option(
        "--after-state-loss",
        help="Also those of before the state was lost: they can replace newer choices.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRunOption = Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")]


@app.command("list")
def list_all(
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    as_json: JsonOption = False,
) -> None:
    """List dead letters, without their bodies."""
    asyncio.run(_list(_filter(integration, reason, older_than, newer_than), as_json))


async def _list(chosen: Filter, as_json: bool) -> None:
    output = Output(sys.stdout.buffer)
    found = 0
    async with one_pass("listed", bar=not sys.stdout.isatty()) as run:
        async for _, letter in run.matching(chosen):
            if as_json:
                document = json_shown(orjson.dumps(asdict(letter)).decode()).encode()
                await output.write((b",\n" if found else b"[\n") + document)
            else:
                await output.write(_line(letter))
            found += 1
        await output.flush()
    # Before the end is written: an array that was cut short must not look like a whole one.
    run.stop.check(f"listed {found}")
    if as_json:
        await output.write(b"\n]\n" if found else b"[]\n")
    else:
        await output.write(f"{found} dead letters\n".encode())
    await output.flush()


@app.command("show")
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Id as listed.")],
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter with its body, which holds personal data."""
    document = asyncio.run(_find(letter_id))
    if document is None:
        _not_there(letter_id)
    elif as_json:
        print_json(document)
    else:
        for name, value in document.items():
            say(f"{name}: {shown(str(value)) if value is not None else '-'}")


async def _find(letter_id: str) -> dict[str, Any] | None:
    document = None
    chosen = Filter(id=letter_id)
    async with one_pass("searched") as run:
        async for message, letter in run.matching(chosen):
            document = _document(message, letter)
            break
    if document is None:
        run.stop.check("not found yet")
    return document


@app.command("replay")
def replay(
    letter_id: Annotated[str, typer.Option("--id", help="Only this one.")] = "",
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    after_state_loss: AfterLossOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters on their way again, each with a fresh retry budget."""
    chosen = _filter(integration, reason, older_than, newer_than, letter_id)
    _settle("replayed", chosen, dry_run, as_json, after_state_loss)


@app.command("discard")
def discard(
    letter_id: Annotated[str, typer.Option("--id", help="Only this one.")] = "",
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take dead letters off the queue for good."""
    chosen = _filter(integration, reason, older_than, newer_than, letter_id)
    if not dry_run and not yes:
        typer.confirm("Discarded consents are lost for good. Go on?", abort=True, err=True)
    _settle("discarded", chosen, dry_run, as_json)


@app.command("export")
def export(
    file: Annotated[str, typer.Argument(help="File for JSON lines; - writes standard output.")],
    integration: IntegrationOption = "",
    reason: ReasonOption = "",
    older_than: OlderOption = "",
    newer_than: NewerOption = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write dead letters with their bodies as JSON lines, and leave them in the queue."""
    chosen = _filter(integration, reason, older_than, newer_than)
    if file == "-":
        asyncio.run(_export(chosen, sys.stdout.buffer, bar=not sys.stdout.isatty()))
        return
    path = Path(file).resolve()
    _check_target(path, force)
    with complete_file(path) as stream:
        exported = asyncio.run(_export(chosen, stream, bar=True))
        _check_target(path, force)  # someone else may have written it meanwhile
    say(f"exported {exported} dead letters")


async def _export(chosen: Filter, stream: BinaryIO, *, bar: bool) -> int:
    output = Output(stream)
    exported = 0
    async with one_pass("exported", bar=bar) as run:
        async for message, letter in run.matching(chosen):
            line = json_shown(orjson.dumps(_document(message, letter)).decode())
            await output.write(line.encode() + b"\n")
            exported += 1
        await output.flush()
    run.stop.check("the export is not complete")
    return exported


def _check_target(path: Path, force: bool) -> None:
    if not path.parent.is_dir():
        raise typer.BadParameter(f"{path.parent} is not a directory")
    if path.exists() and not path.is_file():
        raise typer.BadParameter(f"{path} is no regular file; use - for standard output")
    if path.exists() and not force:
        raise typer.BadParameter(f"{path} exists; --force replaces it")


def parse_age(text: str) -> int | None:
    """`90s`, `15m`, `2h` or `7d` in milliseconds; None for nothing."""
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise typer.BadParameter("an age is a number and s, m, h or d, such as 90s or 2h")
    return int(match.group(1)) * _UNITS[match.group(2)] * 1000


def _filter(
    integration: str, reason: str, older_than: str, newer_than: str, letter_id: str = ""
) -> Filter:
    return Filter(
        integration or None,
        reason or None,
        parse_age(older_than),
        parse_age(newer_than),
        letter_id or None,
    )


@dataclass(slots=True)
class Pass:
    """One pass over the dead letters that were there at its start, and how far it came."""

    letters: DeadLetters
    total: int
    stop: Stop
    advance: Callable[[], None]

    async def all(self) -> AsyncIterator[tuple[AbstractIncomingMessage, DeadLetter]]:
        """Every one, until the command is asked to stop."""
        async for found in self.matching(Filter()):
            yield found

    async def matching(
        self, chosen: Filter
    ) -> AsyncIterator[tuple[AbstractIncomingMessage, DeadLetter]]:
        """Those that are chosen, until the command is asked to stop."""
        async for message in self.letters.read(self.total):
            letter = _as_told(describe(message))
            if chosen.matches(letter, int(time.time() * 1000)):
                yield message, letter
            self.advance()
            if self.stop.is_asked:
                return


@asynccontextmanager
async def one_pass(
    verb: str, *, bar: bool = True, so_far: Callable[[], str] = lambda: ""
) -> AsyncIterator[Pass]:
    """A pass that gives back what it did not settle, while no other command works on the dead
    letters: what one holds the other can't see. Raises `BrokerAway`.
    """
    settings = command_settings()
    names = Names(settings.namespace)
    async with broker_connection(settings, "dead-letters", so_far) as connection:
        reading = [await connection.channel(publisher_confirms=False) for _ in range(_READERS)]
        publishing = await connection.channel(publisher_confirms=True, on_return_raises=True)
        letters = DeadLetters(reading, publishing, names)
        with stoppable() as stop:
            async with alone(connection, names.dead_letters_lock, stop):
                total = await letters.count()
                with progress(verb, total, wanted=bar) as advance:
                    yield Pass(letters, total, stop, advance)
                await letters.give_back()


@dataclass(slots=True)
class _Tally:
    """What became of those that were chosen; `kept` names some of those not settled, and why;
    `guard` counts those of a lost state.
    """

    guard: LostStateGuard
    matched: int = 0
    settled: int = 0
    kept_count: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)

    def keep(self, letter: DeadLetter, reason: str) -> None:
        self.kept_count += 1
        if len(self.kept) < _NAMED_AT_MOST:
            self.kept.append((letter.id, reason))


def _settle(
    verb: str, chosen: Filter, dry_run: bool, as_json: bool, after_state_loss: bool = True
) -> None:
    stop, tally = asyncio.run(_settle_each(verb, chosen, dry_run, after_state_loss))
    held_back = tally.guard.held_back
    if as_json:
        report = {
            verb: tally.settled,
            "matched": tally.matched,
            "kept": tally.kept_count + held_back,
            "dry_run": dry_run,
        }
        print_json(report | ({"of_lost_state": held_back} if verb == "replayed" else {}))
    else:
        would = f"would have {verb} {tally.matched - held_back}"
        say(would if dry_run else f"{verb} {tally.settled}")
    if held_back:
        complain(f"not {verb}, and kept: {held_back} {tally.guard.reason}")
    for letter_id, reason in tally.kept:
        complain(f"not {verb}, and kept: {shown(letter_id)}: {reason}")
    if unnamed := tally.kept_count - len(tally.kept):
        complain(f"not {verb}, and kept: {unnamed} more")
    stop.check("what was not handled stays in the dead letters")
    if chosen.id is not None and not tally.matched:
        _not_there(chosen.id)
    if tally.kept_count or (held_back and not dry_run):
        raise typer.Exit(1)


async def _settle_each(
    verb: str, chosen: Filter, dry_run: bool, after_state_loss: bool
) -> tuple[Stop, _Tally]:
    """What became of those chosen, each of which is settled unless `dry_run`."""
    settings = WorkerSettings()
    guard = await _guard(settings, verb, after_state_loss)
    tally = _Tally(guard)
    in_flight = InFlight(_AT_ONCE)

    async def settle(
        letters: DeadLetters, message: AbstractIncomingMessage, letter: DeadLetter
    ) -> None:
        try:
            if verb == "replayed":
                await letters.replay(message, settings.max_event_bytes, guard.epoch)
            else:
                await letters.discard(message)
        except NotReplayed as error:
            tally.keep(letter, str(error))
        except Exception as error:  # of one letter, unless it is the broker's
            if is_connection_error(error):
                raise
            tally.keep(letter, f"{type(error).__name__}; export it, and report this")
        else:
            tally.settled += 1

    def so_far() -> str:
        return "" if dry_run else f"{verb} {tally.settled}, and the rest stays in the dead letters"

    async with one_pass(verb, so_far=so_far) as run:
        try:
            async for message, letter in run.matching(chosen):
                tally.matched += 1
                if not guard.holds_back(letter) and not dry_run:
                    await in_flight.add(settle(run.letters, message, letter))
        finally:
            await in_flight.drain()
    return run.stop, tally


async def _guard(settings: WorkerSettings, verb: str, after_state_loss: bool) -> LostStateGuard:
    """What holds back letters of a lost state, which concerns none that is not replayed."""
    if verb != "replayed":
        return LostStateGuard(None, is_known=False, is_off=True)
    return await LostStateGuard.of(settings, is_off=after_state_loss)


def _as_told(letter: DeadLetter) -> DeadLetter:
    """`letter` with codes of ours alone: whoever may publish to the queue may write others."""
    return replace(
        letter,
        reason=letter.reason if letter.reason in _REASONS else _UNKNOWN,
        error=letter.error if letter.error is None or letter.error in _ERRORS else _UNKNOWN,
    )


def _not_there(letter_id: str) -> None:
    say(f"no dead letter has the id {shown(letter_id)}")
    raise typer.Exit(1)


def _line(letter: DeadLetter) -> bytes:
    return (
        f"{in_column(letter.id)}  {in_column(letter.reason)}  "
        f"integration {in_column(letter.integration or '-')}  "
        f"error {in_column(letter.error or '-')}  "
        f"attempts {letter.attempts}  replays {letter.replays}\n"
    ).encode()


def _document(message: AbstractIncomingMessage, letter: DeadLetter) -> dict[str, Any]:
    document = asdict(letter)
    try:
        return document | {"body": message.body.decode()}
    except UnicodeDecodeError:
        return document | {"body_base64": base64.b64encode(message.body).decode()}
