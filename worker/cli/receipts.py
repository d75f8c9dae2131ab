"""`consent-worker receipts`: what became of events lately, and whether anybody changed that."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from worker.broker.broker_access import broker_connection
from worker.broker.queue_names import Names
from worker.broker.stream_reader import StreamReader
from worker.cli.command_support import command_settings, complain, print_json, say
from worker.cli.event_input import BadInput
from worker.cli.json_output import JsonOption, json_line, print_json_list
from worker.cli.receipts_export import export
from worker.cli.receipts_find import find
from worker.cli.terminal import in_column, progress, shown
from worker.counting import counted, verb
from worker.evidence.bounded_json import Unreadable
from worker.evidence.exported_file import MOST_LINE_BYTES, NOT_TOLD, NoExport, verify_file
from worker.evidence.findings import Finding
from worker.evidence.heading import read_message
from worker.evidence.receipt import Receipt, read_receipt
from worker.evidence.verification import Verification
from worker.integrations.safe_files import UnusableFile, lines_of
from worker.interrupt import Stop, stoppable
from worker.ledger.ledger_from_settings import keyring_of
from worker.settings import WorkerSettings
from worker.wire.message_tap import TappedTransport
from worker.wire.stream_channel import Place

app = typer.Typer(no_args_is_help=True, help="What became of every event, and its proof.")
app.command("find")(find)
app.command("export")(export)

_LATEST_MESSAGES: Final = 2000
"""Looked through for the latest receipts, where all are wanted."""


@app.command("tail")
def tail(
    follow: Annotated[bool, typer.Option("--follow", help="Go on with all that come.")] = False,
    integration: Annotated[str, typer.Option(help="Only those of this integration.")] = "",
    event: Annotated[str, typer.Option(help="Only those of the event with this id.")] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="At most so many, the latest.")
    ] = 50,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print a JSON array, with one object a line; with --follow, which has no end, "
            "the objects alone.",
        ),
    ] = False,
) -> None:
    """Show the latest receipts."""
    asyncio.run(_Tail(integration, event, limit, as_json).run(follow))


@app.command("verify")
def verify(
    file: Annotated[
        str, typer.Argument(help="A file that was exported; without one, the stream itself.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Verify all that the stream or a file has; ends with 1 if it finds a manipulation."""
    is_bar = not as_json
    told = _verified_file(Path(file)) if file else asyncio.run(_verified_stream(wants_bar=is_bar))
    if as_json:
        print_json(_report(*told))
    else:
        if file:
            say(NOT_TOLD)
        _tell(*told)
    if any(one.code.is_manipulation for one in told[1]):
        raise typer.Exit(1)


class _Tail:
    """The latest receipts of an integration or an event, at most `limit`."""

    def __init__(self, integration: str, event: str, limit: int, as_json: bool) -> None:
        self._integration = integration
        self._event = event
        self._limit = limit
        self._as_json = as_json

    async def run(self, follow: bool) -> None:
        """Print them; with `follow`, all that come, until the command is asked to stop."""
        async with _stream(command_settings()) as (reader, stop):
            last = await reader.last_offset()
            latest: deque[Receipt] = deque(maxlen=self._limit)
            if last is not None:
                is_filtered = self._integration or self._event
                start: Place = "first" if is_filtered else max(0, last - _LATEST_MESSAGES)
                async for message in reader.read(start, last):
                    latest.extend(self._receipts(message.body))
                    if stop.is_asked:
                        break
            if self._as_json and not follow:
                print_json_list((one._asdict() for one in latest), is_whole=not stop.is_asked)
            else:
                for one in latest:
                    say(self._line(one))
            stop.check("there may be later ones")
            if follow:
                await self._follow(reader, "first" if last is None else last + 1, stop)

    async def _follow(self, reader: StreamReader, start: Place, stop: Stop) -> None:
        async def go_on() -> None:
            async for message in reader.read(start):
                for one in self._receipts(message.body):
                    say(self._line(one))
                sys.stdout.flush()

        following = asyncio.create_task(go_on())
        asked = asyncio.create_task(stop.asked.wait())
        await asyncio.wait({following, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if following.done():
            following.result()
        following.cancel()

    def _receipts(self, body: bytes) -> Iterator[Receipt]:
        try:
            message = read_message(body)
        except Unreadable:
            return  # `verify` tells of it
        if message.heading.kind != "receipts":
            return
        for row in message.rows:
            try:
                receipt = read_receipt(row)
            except Unreadable:
                continue
            if self._integration in ("", receipt.integration) and self._event in (
                "",
                receipt.event,
            ):
                yield receipt

    def _line(self, receipt: Receipt) -> str:
        if self._as_json:
            return json_line(receipt._asdict())
        due = f"  due {_time(receipt.due_at)}" if receipt.due_at is not None else ""
        what = receipt.outcome + (f" {in_column(receipt.reason)}" if receipt.reason else "")
        return (
            f"{_time(receipt.at)}  {what}  {in_column(receipt.event)}  "
            f"integration {in_column(receipt.integration) or '-'}  attempt {receipt.attempt}{due}"
        )


def _verified_file(path: Path) -> tuple[Verification, list[Finding]]:
    """Raises `BadInput` and OSError."""
    try:
        with lines_of(path, MOST_LINE_BYTES) as lines:
            return verify_file(lines, keyring_of(command_settings()))
    except UnusableFile as error:
        raise BadInput(f"{shown(str(path))} {error}") from None
    except NoExport as error:
        raise BadInput(str(error)) from None


async def _verified_stream(*, wants_bar: bool) -> tuple[Verification, list[Finding]]:
    settings = command_settings()
    verification = Verification(keyring_of(settings))
    async with _stream(settings) as (reader, stop):
        last = await reader.last_offset()
        with progress("verified", None, wanted=wants_bar) as advance:
            if last is not None:
                async for message in reader.read("first", last):
                    verification.see(message.offset, message.body)
                    advance()
                    stop.check(f"verified {counted(verification.messages, 'message')}, and not all")
    return verification, verification.conclude(int(time.time() * 1000))


def _report(verification: Verification, findings: list[Finding]) -> dict[str, Any]:
    names = ("messages", "rows", "chains", "unreadable", "unsigned", "unchecked", "unplaced")
    counts = {name: getattr(verification, name) for name in names}
    told = [
        one._asdict() | {"manipulation": one.code.is_manipulation, "sentence": one.code.sentence}
        for one in findings
    ]
    return counts | {"more_findings": verification.more_findings, "findings": told}


def _tell(verification: Verification, findings: list[Finding]) -> None:
    for one in findings:
        kind = "MANIPULATION" if one.code.is_manipulation else "note"
        place = f"chain {one.chain} sequence {one.sequence}" if one.chain else ""
        where = f"offset {one.offset}" if one.offset >= 0 else ""
        detail = f" ({shown(one.detail)})" if one.detail else ""
        worker = f"worker {in_column(one.worker)}" if one.worker else ""
        parts = "  ".join(part for part in (kind, str(one.code), place, where, worker) if part)
        say(f"{parts}  {one.code.sentence}{detail}")
    if verification.more_findings:
        say(f"and {counted(verification.more_findings, 'more finding')}")
    if verification.unsigned:
        say(
            f"{_messages(verification.unsigned, 'is', 'are')} not signed: whoever may publish to "
            "the stream could have written that (CONSENT_WORKER_RECEIPTS_SECRET signs)"
        )
    if verification.unchecked:
        say(
            f"{_messages(verification.unchecked, 'was', 'were')} not held against a signature of "
            "the secrets that this command has"
        )
    if verification.unplaced:
        say(
            f"{_messages(verification.unplaced, 'is', 'are')} of more chains than this command "
            "keeps account of: whether they stand in their places is not verified"
        )
    manipulations = sum(one.code.is_manipulation for one in findings)
    rows, messages = counted(verification.rows, "row"), counted(verification.messages, "message")
    chains = counted(verification.chains, "chain")
    verdict = counted(manipulations, "manipulation") if manipulations else "no manipulations"
    say(f"{rows} in {messages} of {chains}: {verdict}")


def _messages(number: int, singular: str, plural: str) -> str:
    return f"{counted(number, 'message')} {verb(number, singular, plural)}"


@asynccontextmanager
async def _stream(settings: WorkerSettings) -> AsyncIterator[tuple[StreamReader, Stop]]:
    """The stream of the receipts. Raises `BrokerAway`."""
    if settings.receipts == "off":
        complain("CONSENT_WORKER_RECEIPTS is off: workers with these settings write none")
    transport, queue = TappedTransport(), Names(settings.namespace).receipts
    async with broker_connection(settings, "receipts", transport=transport) as connection:
        with stoppable() as stop:
            yield StreamReader(connection, transport.splitter, queue), stop


def _time(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(at_ms)
