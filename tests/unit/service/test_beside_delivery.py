"""What a worker does beside delivery goes on after a fault of its own, which is told. There is no
broker, and none is needed: a worker without integrations does not even look for one.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from devtools.ports import free_port
from devtools.waiting import wait_until
from tests.unit.console.console_parts import write_integration
from worker import kept_running
from worker.delivery.inlets import inlet_questions
from worker.delivery.inlets.fleet_answers import KeptAnswers
from worker.integration_change_log import report_change
from worker.observability.logging import configure_logging
from worker.ordering.memory_store import MemoryStore
from worker.service import process, state_at_start
from worker.service.process import Service
from worker.service.registry_from_settings import build_registry
from worker.settings import WorkerSettings

QUOTED = "what an event says of lena@a.example"
IsTold = Callable[[str], bool]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_running, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(inlet_questions, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(state_at_start, "REMEMBER_EVERY_SECONDS", 0.02)


@pytest.fixture
def is_told() -> IsTold:
    """Whether something stands in the log."""
    stream = io.StringIO()
    configure_logging("json", "info", stream)

    def is_there(text: str) -> bool:
        assert QUOTED not in stream.getvalue()
        return text in stream.getvalue()

    return is_there


class _Counted:
    """Fails the first time; `calls` are all."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: Any, **__: Any) -> None:
        self.calls += 1
        if self.calls == 1:
            raise ValueError(QUOTED)

    async def later(self, *_: Any) -> None:
        self()


@asynccontextmanager
async def _worker(tmp_path: Path, is_told: IsTold) -> AsyncIterator[None]:
    """One that has started without an integration."""
    (tmp_path / "integrations").mkdir()
    settings = WorkerSettings(
        amqp_url=SecretStr(f"amqp://guest:guest@127.0.0.1:{free_port()}/"),
        integrations=tmp_path / "integrations",
        reload_seconds=0.05,
        http_host="127.0.0.1",
        http_port=0,
        allow_insecure=True,
        receipts="off",
        allowed_hosts=("sandbox",),
    )
    registry = build_registry(settings)
    registry.load()
    running = asyncio.create_task(Service(settings, registry).run())
    await wait_until(lambda: is_told("integrations.none"), "its start", 10)
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(running, 20)


async def test_a_worker_whose_change_of_integrations_can_not_be_told_begins_and_goes_on_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_told: IsTold
) -> None:
    counted = _Counted()

    def faulty(change: Any) -> None:
        counted()
        report_change(change)

    monkeypatch.setattr(process, "report_change", faulty)
    async with _worker(tmp_path, is_told):
        write_integration(tmp_path, "shop")
        await wait_until(lambda: is_told("worker.unexpected_error"), "the fault", 10)
        await wait_until(lambda: is_told("broker.unreachable"), "that it begins", 10)
        write_integration(tmp_path, "press")
        await wait_until(lambda: is_told('"loaded":["press"]'), "the next change", 10)


@pytest.mark.parametrize(
    ("whose", "work"),
    [(MemoryStore, "remember_integrations"), (KeptAnswers, "keep_again")],
)
async def test_what_is_kept_for_the_fleet_is_kept_after_a_fault(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_told: IsTold,
    whose: type,
    work: str,
) -> None:
    counted = _Counted()
    monkeypatch.setattr(whose, work, counted.later)
    async with _worker(tmp_path, is_told):
        await wait_until(lambda: counted.calls > 1, "another try", 10)
    assert is_told("worker.unexpected_error")
