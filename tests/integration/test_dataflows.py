"""From a checked set-up to a delivered consent, for both kinds of inlet; and a check's note."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devtools.stack import Stack
from devtools.waiting import wait_until
from worker.adobe.endpoints import INSECURE

EXAMPLES = Path(__file__).parents[2] / "examples"
SET_UP = json.loads((EXAMPLES / "adobe" / "set-up.json").read_text())
LENA = "lena@northwind.example", "lena@tailspin.example"


@pytest.fixture
async def stack(broker_url: str, namespace: str) -> AsyncIterator[Stack]:
    """The examples of this repository, and the emulator set up for them."""
    async with Stack(broker_url, namespace, CHECK_SET_UP="true") as running:
        running.sandbox.state.organization.put(json.loads(json.dumps(SET_UP)))
        for one in (EXAMPLES / "integrations").glob("*.json"):
            text = one.read_text().replace("http://sandbox:9000", running.sandbox.url)
            (running.integrations / one.name).write_text(text)
        yield running


def profile(stack: Stack, dataset: str, identity: str) -> dict[str, Any] | None:
    found = stack.sandbox.state.profiles.get((dataset, identity))
    return None if found is None else found.record


async def test_a_consent_reaches_either_kind_of_dataflow(stack: Stack) -> None:
    code, out, _ = await stack.command("integrations", "check")
    assert code == 0, out
    stack.start_worker()
    await stack.wait_until_consuming()
    events = [(EXAMPLES / name).read_bytes() for name in ("event.json", "user.json")]
    await stack.publish(events)
    await wait_until(lambda: len(stack.sandbox.state.profiles) == 2, "both profiles")
    assert profile(stack, "local-dataset", LENA[0]) == {
        "_northwind": {"newsletter": True},
        "personalEmail": {"address": LENA[0]},
    }
    assert profile(stack, "preferences-dataset", LENA[1]) == {
        "consents": {
            "marketing": {"email": {"val": "y"}},
            "personalize": {"content": {"val": "n"}},
            "metadata": {"time": "2026-03-02T08:15:31.000Z"},
        },
        "personalEmail": {"address": LENA[1]},
    }
    assert stack.sandbox.state.failures == []
    code, out, _ = await stack.command("integrations", "check")
    assert (code, out.count("runs: ok - none of the last 1 failed")) == (0, 2)


async def test_a_wrong_set_up_is_a_note_and_stops_nothing(stack: Stack) -> None:
    organization = stack.sandbox.state.organization
    organization.datasets["local-dataset"]["tags"]["unifiedProfile"] = ["enabled:false"]
    stack.start_worker()
    await stack.wait_until_consuming()

    async def notes() -> list[str]:
        return list(json.loads((await stack.get("/readyz"))[1])["notes"])

    async def noted() -> bool:
        return any(
            "shop: its set-up at Adobe is wrong (dataset-profile)" in n for n in await notes()
        )

    await wait_until(noted, "the note")
    assert await stack.is_ready()
    await stack.publish([(EXAMPLES / "event.json").read_bytes()])
    await wait_until(lambda: "request.accepted" in stack.log_text(), "the delivery")
    organization.datasets["local-dataset"]["tags"]["unifiedProfile"] = ["enabled:true"]
    path = stack.integrations / "shop.json"
    path.write_text(path.read_text().replace('"upsert_mode"', '"source_name": "x", "upsert_mode"'))

    async def gone() -> bool:
        return await notes() == [INSECURE]

    await wait_until(gone, "the end of the note, since the file changed")
