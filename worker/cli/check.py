"""`consent-worker integrations check`: the customer's real set-up, before the first event."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import typer

from worker.adobe.attempt import AdobeClient
from worker.adobe.check.background_checks import AT_ONCE
from worker.adobe.check.check_integration import check_integration
from worker.adobe.check.inlet_kind import ask_kind
from worker.adobe.check.report_lines import WORDS, Line, Verdict, unclear, worst, wrong
from worker.adobe.check.test_record import send_probe
from worker.adobe.http_client import open_session
from worker.cli.command_support import complain, say
from worker.cli.json_output import print_json_list
from worker.cli.terminal import progress, shown
from worker.counting import counted
from worker.integrations.model import Integration, WrittenMode
from worker.integrations.told_mode import UnfitMode, in_mode
from worker.interrupt import Stop, stoppable
from worker.service.pipeline_from_settings import build_client
from worker.service.registry_from_settings import endpoint_policy
from worker.settings import WorkerSettings

EXIT_CODES: Final[dict[Verdict, int]] = {"ok": 0, "wrong": 1, "unclear": 4}
_TEST_NOTE: Final = (
    "this writes a record with every choice refused into the customer's dataset, and where the "
    "inlet is XDM-compatible in place of all that the dataset has of that person"
)

Checked = tuple[Integration, list[Line]]


def run_checks(
    settings: WorkerSettings,
    wanted: Sequence[Integration],
    *,
    as_json: bool,
    identity: str | None,
) -> Verdict:
    """Check the integrations `wanted`, and print what is found; the verdict on all of it.

    With an `identity` a test record is sent as well, where nothing is wrong.
    """
    return asyncio.run(_run(settings, wanted, as_json=as_json, identity=identity))


def ask_for_identity() -> str:
    """Whose record the test of a set-up is: by a prompt, or the first line of standard input. Never
    by an argument, which others on the machine can read.
    """
    if sys.stdin.isatty():
        complain(f"Attention: {_TEST_NOTE}.")
        return str(typer.prompt("Identity of a test person", err=True)).strip()
    return sys.stdin.readline().strip()


async def _run(
    settings: WorkerSettings,
    wanted: Sequence[Integration],
    *,
    as_json: bool,
    identity: str | None,
) -> Verdict:
    done: list[Checked] = []
    async with open_session(endpoint_policy(settings), settings.longest_attempt_seconds) as session:
        client = build_client(settings, session)
        with stoppable() as stop:
            # Lines and a bar can't have one terminal at the same time.
            with progress("checking", len(wanted)) as advance:
                async for integration, lines in _in_order(client, wanted, stop):
                    advance()
                    if identity is not None and worst(lines) != "wrong":
                        lines.append(await _send_test(client, integration, identity))
                    done.append((integration, lines))
            _print(done, as_json=as_json, is_whole=not stop.is_asked)
            stop.check(f"checked {len(done)} of {counted(len(wanted), 'integration')}")
    return worst([line for _, lines in done for line in lines])


async def _send_test(client: AdobeClient, integration: Integration, identity: str) -> Line:
    """In the form that the inlet takes; with `payload_mode` auto as Adobe tells it."""
    if integration.payload_mode == "auto":
        kind = await ask_kind(client, integration)
        if not isinstance(kind, str):
            text = "not sent: Adobe does not tell of which kind the inlet is; set payload_mode"
            return unclear("test-record", f"{text}; {kind.detail}")
        mode: WrittenMode = "xdm" if kind == "xdm" else "upsert"
        try:
            integration = in_mode(integration, mode)
        except UnfitMode as unfit:
            return wrong("test-record", f"not sent: {unfit}")
    return await send_probe(client, integration, identity)


async def _in_order(
    client: AdobeClient, wanted: Sequence[Integration], stop: Stop
) -> AsyncIterator[Checked]:
    """Each with its lines, in the order of `wanted`; some are checked at the same time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(integration: Integration) -> list[Line]:
        async with slots:
            return await check_integration(client, integration)

    tasks = [asyncio.create_task(one(integration)) for integration in wanted]
    stopping = asyncio.create_task(stop.asked.wait())
    try:
        for integration, task in zip(wanted, tasks, strict=True):
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return
            yield integration, task.result()
    finally:
        for pending in (*tasks, stopping):
            pending.cancel()


def _print(done: Sequence[Checked], *, as_json: bool, is_whole: bool) -> None:
    if as_json:
        print_json_list((_document(*one) for one in done), is_whole=is_whole)
        return
    for integration, lines in done:
        for line in lines:
            text = f"{integration.id}  {line.subject}: {WORDS[line.verdict]} - {line.text}"
            say(shown(text))
    if done:
        verdicts = Counter(line.verdict for _, lines in done for line in lines)
        counts = ", ".join(f"{verdicts[verdict]} {word}" for verdict, word in WORDS.items())
        say(f"{counted(len(done), 'integration')}: {counts}")


def _document(integration: Integration, lines: Sequence[Line]) -> dict[str, Any]:
    return {
        "id": integration.id,
        "verdict": worst(lines),
        "lines": [asdict(one) for one in lines],
    }
