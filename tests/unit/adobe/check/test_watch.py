"""Integrations are checked beside delivery, and what is wrong is a note as long as it is wrong."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devtools.waiting import wait_until
from tests.unit.adobe.check.conftest import Bench
from tests.unit.adobe.check.set_ups import dataset, set_up
from worker.adobe.check.background_checks import AT_ONCE, SetUpWatch
from worker.integrations.model import Integration
from worker.observability.logging import configure_logging

Known = dict[str, Integration]


@pytest.fixture
def known(bench: Bench) -> Known:
    return {"shop": bench.integration()}


@pytest.fixture
def written() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    return stream


@pytest.fixture
async def watch(bench: Bench, known: Known, written: io.StringIO) -> AsyncIterator[SetUpWatch]:
    watch = SetUpWatch(bench.client, known.get, again_seconds=0.05)
    running = asyncio.create_task(watch.run())
    yield watch
    running.cancel()


async def test_what_is_right_is_no_note(
    bench: Bench, watch: SetUpWatch, written: io.StringIO
) -> None:
    bench.put(set_up())
    watch.ask(["shop"])
    await wait_until(lambda: "integration.setup_checked" in written.getvalue(), "the check")
    assert '"verdict":"ok"' in written.getvalue()
    assert watch.notes == []


async def test_what_is_wrong_is_a_note_until_it_is_mended_at_adobe(
    bench: Bench, watch: SetUpWatch, written: io.StringIO
) -> None:
    bench.put(set_up(flow={"state": "disabled"}))
    watch.ask(["shop"])
    await wait_until(lambda: bool(watch.notes), "the note")
    (note,) = watch.notes
    assert note.startswith("integration shop: its set-up at Adobe is wrong (flow); ")
    assert "integration.setup_wrong" in written.getvalue()
    assert "disabled" not in note, "anybody may read it, and that is Adobe's"
    bench.sandbox.state.organization.dataflows["flow"].state = "enabled"
    await wait_until(lambda: not watch.notes, "its end")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"target": "token", "kind": "status", "status": 503}, id="no token"),
        pytest.param({"target": "platform", "kind": "status", "status": 404}, id="a proxy"),
    ],
)
async def test_what_is_wrong_stays_a_note_while_adobe_does_not_answer(
    bench: Bench, watch: SetUpWatch, written: io.StringIO, fault: dict[str, Any]
) -> None:
    """Or nobody would look at it again."""
    bench.put(set_up(datasets={"dataset": dataset(unifiedProfile=["enabled:false"])}))
    watch.ask(["shop"])
    await wait_until(lambda: bool(watch.notes), "the note")
    (note,) = watch.notes
    staged = bench.sandbox.state.inject(**fault)
    bench.sandbox.state.tokens.clear()
    await wait_until(lambda: '"verdict":"unclear"' in written.getvalue(), "a check in the outage")
    assert watch.notes == [note]
    bench.sandbox.state.organization.datasets["dataset"] = dataset()
    bench.sandbox.state.faults.clear(staged.id)
    await wait_until(lambda: not watch.notes, "its end")


async def test_what_a_changed_integration_does_not_need_is_no_note_though_adobe_does_not_answer(
    bench: Bench, watch: SetUpWatch, known: Known, written: io.StringIO
) -> None:
    bench.put(set_up())
    known["shop"] = bench.integration(upsert_mode=False)
    bench.sandbox.state.inject(target="lookup", kind="status", status=400)
    watch.ask(["shop"])
    await wait_until(lambda: bool(watch.notes), "the note")
    bench.sandbox.state.inject(target="platform", kind="status", status=404)
    known["shop"] = bench.integration(upsert_mode=True)
    await wait_until(lambda: '"verdict":"unclear"' in written.getvalue(), "the check")
    assert watch.notes == []


async def test_the_note_goes_with_the_integration(
    bench: Bench, watch: SetUpWatch, known: Known
) -> None:
    bench.put(set_up(flow={"state": "disabled"}))
    watch.ask(["shop"])
    await wait_until(lambda: bool(watch.notes), "the note")
    del known["shop"]
    assert watch.notes == []


async def test_what_can_not_be_judged_is_no_note(
    bench: Bench, watch: SetUpWatch, written: io.StringIO
) -> None:
    bench.put(set_up(refused={"view-datasets": 403}))
    watch.ask(["shop"])
    await wait_until(lambda: "integration.setup_checked" in written.getvalue(), "the check")
    assert '"verdict":"unclear","unclear":["dataset-profile"]' in written.getvalue()
    assert watch.notes == []


async def test_no_more_than_a_few_are_checked_at_the_same_time(
    bench: Bench, watch: SetUpWatch, known: Known, written: io.StringIO
) -> None:
    bench.put(set_up())
    names = [f"many-{number}" for number in range(AT_ONCE + 2)]
    known.update({one: bench.integration(id=one) for one in names})
    bench.sandbox.state.inject(target="platform", kind="latency", latency_ms=10)
    watch.ask(names)
    await wait_until(lambda: written.getvalue().count("setup_checked") == len(names), "all")
    assert max(bench.sandbox.state.most_under_way.values()) == AT_ONCE


async def test_what_changed_meanwhile_is_not_judged_by_what_it_was(
    bench: Bench, watch: SetUpWatch, known: Known, written: io.StringIO
) -> None:
    bench.put(set_up(flow={"state": "disabled"}))
    fault = bench.sandbox.state.inject(
        target="platform", kind="hang", key="view-identity-namespaces"
    )
    watch.ask(["shop"])
    asked = bench.sandbox.state.requests
    await wait_until(lambda: "idnamespace" in asked[-1]["path"] if asked else False, "the question")
    known["shop"] = bench.integration(paused=True)
    bench.sandbox.state.organization.dataflows["flow"].state = "enabled"
    watch.ask(["shop"])
    bench.sandbox.state.faults.clear(fault.id)
    await wait_until(lambda: "setup_checked" in written.getvalue(), "the check")
    assert "setup_wrong" not in written.getvalue()
    assert watch.notes == []
